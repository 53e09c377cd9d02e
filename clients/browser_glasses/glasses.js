// A phone with its glasses, in a page: protocol.md sections 2.1, 2.2 and 4.1, generation D.

import {draw, textOf} from "./lens.js";
import {Microphone} from "./microphone.js";

const PING_S = 5, PONG_S = 5, REDIAL_S = 5, LOG = 200, MODEL = "Even Realities G1";
const by = (id) => document.getElementById(id);

let token = sessionStorage.getItem("token") ?? "";
let socket = null, redial = 0, pinging = 0, pongBy = 0;
let running = [], isHeadUp = false;
let dashboard = null, main = null;

const microphone = new Microphone({
  say,
  send: (pcm) => socket?.readyState === WebSocket.OPEN && socket.send(pcm),
  level: (level) => { by("level").value = level; },
  trouble: (what) => { by("heard").textContent = what; note("!", what); },
});

function note(sign, what) {
  const line = document.createElement("li");
  line.textContent = `${new Date().toISOString().slice(11, 23)} ${sign} ${what}`;
  by("log").prepend(line);
  while (by("log").children.length > LOG) {
    by("log").lastChild.remove();
  }
}

function say(message) {
  if (socket?.readyState !== WebSocket.OPEN) {
    return;
  }
  socket.send(JSON.stringify({timestamp: Date.now(), ...message}));
  if (message.type !== "ping" && message.type !== "pong") {
    note(">", message.type);
  }
}

async function rest(method, path, body) {
  const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"};
  return fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
}

// ---------------------------------------------------------------------------------------------------------
// The connection

function state(text) {
  by("state").textContent = text;
}

function dial() {
  clearTimeout(redial);
  if (!token || by("tunnel").checked) {
    return;
  }
  state("Dialling");
  const url = new URL("/glasses-ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("token", token);
  const mine = socket = new WebSocket(url);
  mine.binaryType = "arraybuffer";
  let wasOpen = false;
  mine.onopen = () => {
    wasOpen = true;
    state("Connected, not acknowledged yet");
    pinging = setInterval(() => ping(mine), PING_S * 1000);
  };
  mine.onmessage = ({data}) => typeof data === "string" && take(JSON.parse(data));
  mine.onclose = async ({code, reason}) => {
    clearInterval(pinging);
    clearTimeout(pongBy);
    if (mine !== socket) {
      return;
    }
    socket = null;
    microphone.want(false);
    microphone.hangUp();
    note("!", `closed ${code} ${reason}`);
    if (!wasOpen && await isRefused()) {
      takeOff("The token is not good.");
      return;
    }
    state(by("tunnel").checked ? "In a tunnel" : `Lost; dialling again in ${REDIAL_S} s`);
    redial = setTimeout(dial, REDIAL_S * 1000);
  };
}

/** A browser does not say why a dial was refused: a REST call with the same token does. */
async function isRefused() {
  try {
    return (await rest("GET", "/api/client/user/settings")).status === 401;
  } catch {
    return false;
  }
}

function ping(mine) {
  say({type: "ping"});
  clearTimeout(pongBy);
  pongBy = setTimeout(() => mine.close(), PONG_S * 1000);
}

function drop() {
  socket?.close();
}

function take(message) {
  if (message.type !== "pong" && message.type !== "ping") {
    note("<", message.type);
  }
  switch (message.type) {
    case "connection_ack":
      state("Connected");
      by("refused").textContent = "";
      acknowledged(message);
      break;
    case "connection_error":
    case "auth_error":
      takeOff(message.message ?? "The token is not good.");
      break;
    case "ping":
      say({type: "pong"});
      break;
    case "pong":
      clearTimeout(pongBy);
      break;
    case "display_event":
      show(message);
      break;
    case "microphone_state_change":
      heard(message);
      break;
    case "app_state_change":
      apps(message.userSession);
      break;
    case "app_started":
    case "app_stopped":
      apps(message.userSession);
      break;
    default:
      if (message.type.startsWith("webrtc_")) {
        microphone.take(message).catch((error) => note("!", `WebRTC: ${error.message}`));
      }
  }
}

function acknowledged(message) {
  apps(message.userSession);
  say({type: "glasses_connection_state", modelName: MODEL, status: "CONNECTED"});
  rest("POST", "/api/client/device/state", {connected: true, modelName: MODEL}).catch(() => {});
  battery();
  say({type: "head_position", position: isHeadUp ? "up" : "down"});
  microphone.announce();
}

// ---------------------------------------------------------------------------------------------------------
// What the wearer sees

function show(message) {
  const shown = {layout: message.layout ?? {}, packageName: message.packageName ?? ""};
  if (message.view === "dashboard") {
    dashboard = shown;
  } else {
    main = shown;
  }
  redraw();
}

function redraw() {
  const shown = isHeadUp && dashboard ? dashboard : main;
  if (!shown) {
    return;
  }
  const text = textOf(shown.layout);
  by("shown").textContent = text;
  by("from").textContent = text.trim() ? shown.packageName : "";
  draw(by("lens"), shown.layout).catch(() => note("!", "a picture that is none"));
}

function heard(message) {
  const wanted = message.requiredData ?? [];
  microphone.want(wanted.length > 0);
  by("heard").textContent = wanted.length ? "An app listens" : "No app listens";
}

function apps(session) {
  if (!session) {
    return;
  }
  running = session.activeAppSessions ?? running;
  by("apps").replaceChildren(...running.map((packageName) => {
    const line = document.createElement("li");
    const stop = document.createElement("button");
    stop.textContent = "Stop";
    stop.setAttribute("aria-label", `Stop ${packageName}`);
    stop.onclick = () => say({type: "stop_app", packageName});
    line.append(packageName, stop);
    return line;
  }));
}

// ---------------------------------------------------------------------------------------------------------
// What the wearer does

function putOn(given) {
  token = given.trim();
  sessionStorage.setItem("token", token);
  by("login").hidden = true;
  by("worn").hidden = false;
  dial();
}

function takeOff(why = "") {
  token = "";
  sessionStorage.removeItem("token");
  clearTimeout(redial);
  const mine = socket;
  socket = null;
  mine?.close();
  microphone.close();
  by("way").value = microphone.way = "off";
  by("login").hidden = false;
  by("worn").hidden = true;
  by("refused").textContent = why;
  state("Not connected");
  by("token").focus();
}

function battery() {
  say({type: "glasses_battery_update", level: Number(by("battery").value), charging: by("charging").checked});
}

function press(pressType) {
  say({type: "button_press", buttonId: "main", pressType});
}

function moveHead() {
  isHeadUp = !isHeadUp;
  by("head").setAttribute("aria-pressed", String(isHeadUp));
  say({type: "head_position", position: isHeadUp ? "up" : "down"});
  redraw();
}

by("login").onsubmit = (event) => {
  event.preventDefault();
  putOn(by("token").value);
};
by("start").onsubmit = (event) => {
  event.preventDefault();
  say({type: "start_app", packageName: by("package").value.trim()});
};
by("press").onclick = () => press("short");
by("hold").onclick = () => press("long");
by("head").onclick = moveHead;
by("battery").oninput = () => { by("battery-shown").value = by("battery").value; };
by("battery").onchange = by("charging").onchange = battery;
by("way").onchange = () => microphone.choose(by("way").value);
by("drop").onclick = drop;
by("tunnel").onchange = () => (by("tunnel").checked ? drop() : dial());
by("off").onclick = () => takeOff();
addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, button, summary") || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  ({b: () => press("short"), l: () => press("long"), u: moveHead})[event.key]?.();
});

// A link may bring the token behind the #, which no server is ever sent.
function takeLink() {
  const brought = new URLSearchParams(location.hash.slice(1)).get("token");
  if (brought) {
    history.replaceState(null, "", location.pathname);
    if (token) {
      takeOff();
    }
    putOn(brought);
  }
  return Boolean(brought);
}

addEventListener("hashchange", takeLink);
if (!takeLink() && token) {
  putOn(token);
}
