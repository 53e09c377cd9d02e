// Loaded before the app: tells of every HTTP request that its server gets, without touching the app or the SDK.

import http from "node:http";

const emit = http.Server.prototype.emit;

http.Server.prototype.emit = function (name, request, ...rest) {
  if (name === "request") {
    process.stdout.write(JSON.stringify({ event: "request", method: request.method, url: request.url }) + "\n");
  }
  return emit.call(this, name, request, ...rest);
};
