// An unmodified app on the official SDK: it says hello on the lens, shows captions, counts audio, and tells the test
// on standard output, one JSON object a line, what it has seen.
//
//   node app.mjs PORT PACKAGE API_KEY [patient]
//
// At a stop the SDK closes its socket as soon as the webhook has told it. A patient app hears the cloud's own close first.

import { AppServer } from "@mentra/sdk";
import { createHash } from "node:crypto";

const [port, packageName, apiKey, manner] = process.argv.slice(2);

function tell(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

class ProbeApp extends AppServer {
  closed = Promise.resolve();

  async onSession(session, sessionId, userId) {
    tell({ event: "session", sessionId, userId });
    session.layouts.showTextWall("Hello from the SDK");
    session.events.onTranscription((data) => {
      session.layouts.showTextWall(data.text);
      if (data.isFinal) {
        tell({ event: "final", text: data.text, utteranceId: data.utteranceId });
      }
    });
    const hash = createHash("sha256");
    let bytes = 0;
    session.events.onAudioChunk((chunk) => {
      const data = Buffer.from(chunk.arrayBuffer);
      bytes += data.length;
      hash.update(data);
      tell({ event: "audio", bytes, sha256: hash.copy().digest("hex") });
    });
    session.events.onButtonPress((data) => {
      tell({ event: "button", id: data.buttonId });
    });
    this.closed = new Promise((resolve) => {
      session.events.onDisconnected((info) => {
        tell({ event: "disconnected", code: info.code, reason: String(info.reason) });
        resolve();
      });
    });
    session.events.onError((error) => {
      tell({ event: "error", message: String(error?.message ?? error) });
    });
  }

  async onStop(sessionId, userId, reason) {
    tell({ event: "stop", sessionId, reason });
    if (manner === "patient") {
      await this.closed;
    }
    return super.onStop(sessionId, userId, reason);
  }
}

const app = new ProbeApp({ packageName, apiKey, port: Number(port) });
await app.start();
tell({ event: "listening", port: Number(port) });
