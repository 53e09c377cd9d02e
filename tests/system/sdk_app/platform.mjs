// An unmodified app on the official SDK that uses what the cloud keeps and offers beside the session: simple storage,
// settings, tools, the identity of a web page's visitor, places and photos. It tells the test on standard output, one
// JSON object a line.
//
//   node platform.mjs PORT PACKAGE API_KEY

import { AppServer } from "@mentra/sdk";

const [port, packageName, apiKey] = process.argv.slice(2);

function tell(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

async function outcome(promise) {
  try {
    return { value: (await promise) ?? null };
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
}

class PlatformApp extends AppServer {
  async onSession(session, sessionId, userId) {
    const storage = session.simpleStorage;
    const kept = await storage.get("visits");
    tell({ event: "session", sessionId, userId, kept: kept ?? null });
    await storage.set("visits", String(Number(kept ?? 0) + 1));
    await storage.set("gone", "soon");
    await storage.flush();
    tell({ event: "stored", deleted: await storage.delete("gone") });

    tell({ event: "settings", lines: session.settings.get("lines"), metric: session.settings.getMentraOS("metricSystemEnabled") });
    session.settings.onValueChange("lines", (now, before) => tell({ event: "lines", now, before }));
    session.settings.onMentraosSettingChange("metricSystemEnabled", (now) => tell({ event: "metric", now }));
    tell({ event: "fetched", ...(await outcome(session.settings.fetch().then((all) => all.length))) });

    session.events.onButtonPress(async () => {
      tell({ event: "place", ...(await outcome(session.location.getLatestLocation({ accuracy: "high" }))) });
      tell({ event: "photo", ...(await outcome(session.camera.requestPhoto())) });
    });
    session.events.onError((error) => tell({ event: "error", message: String(error?.message ?? error) }));
    tell({ event: "ready" });
  }

  async onToolCall(call) {
    tell({ event: "tool", id: call.toolId, parameters: call.toolParameters, userId: call.userId });
    return `${call.toolId}: ${call.toolParameters.text}`;
  }

  async onSettingsUpdate(userId, settings) {
    tell({ event: "posted", userId, settings: settings.map((one) => [one.key, one.value]) });
  }
}

const app = new PlatformApp({ packageName, apiKey, port: Number(port) });
app.getExpressApp().get("/page", (request, response) => {
  response.json({ visitor: request.authUserId ?? null });
});
await app.start();
tell({ event: "listening", port: Number(port) });
