// What is said in English: as it was said above, in another language below. On the official SDK.
//
// TARGET chooses the language, de-DE unless said otherwise. What the cloud refuses is shown too: one that has no
// translator says so, and the app goes on without it.

import { AppServer } from "@mentra/sdk";

const SOURCE = "en-US";
const TARGET = process.env.TARGET ?? "de-DE";

class TranslationApp extends AppServer {
  async onSession(session, sessionId, userId) {
    session.events.onError((error) => session.layouts.showTextWall(error.message));
    // The official SDK spells it so.
    session.events.ontranslationForLanguage(SOURCE, TARGET, (said) => {
      session.layouts.showDoubleTextWall(said.originalText ?? "", said.text);
    });
    session.layouts.showTextWall(`Translating to ${TARGET}`);
  }
}

const app = new TranslationApp({
  packageName: process.env.PACKAGE_NAME ?? "org.example.translation",
  apiKey: process.env.API_KEY,
  port: Number(process.env.PORT ?? 7013),
});
await app.start();
