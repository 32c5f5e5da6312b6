// The agent of the interop tests, written with the official TypeScript SDK.
// It answers word for word like the Rust agent; see `../sdk_agent.rs`.
//
// With `--without-close` it neither offers nor knows `session/close`.

import { Readable, Writable } from "node:stream";
import * as acp from "@agentclientprotocol/sdk";

const offersClose = !process.argv.includes("--without-close");

/** The open sessions; the value aborts the turn that waits to be cancelled. */
const sessions = new Map();
let created = 0;

const notFound = (id) => acp.RequestError.resourceNotFound(id);

/** The agent's side of one session, for what it has to say. */
class Voice {
  constructor(client, sessionId) {
    this.client = client;
    this.sessionId = sessionId;
  }

  update(update) {
    return this.client.notify(acp.methods.client.session.update, {
      sessionId: this.sessionId,
      update,
    });
  }

  say(text, sessionUpdate = "agent_message_chunk") {
    return this.update({ sessionUpdate, content: { type: "text", text } });
  }

  async edit() {
    const call = { toolCallId: "edit-1", title: "Change settings" };
    await this.say("one change is needed");
    await this.update({ sessionUpdate: "tool_call", kind: "edit", ...call });
    const { outcome } = await this.client.request(
      acp.methods.client.session.requestPermission,
      {
        sessionId: this.sessionId,
        toolCall: call,
        options: [
          { optionId: "no", name: "Leave it", kind: "reject_once" },
          { optionId: "yes", name: "Do it", kind: "allow_once" },
        ],
      },
    );
    if (outcome.outcome !== "selected") return "cancelled";
    await this.update({
      sessionUpdate: "tool_call_update",
      toolCallId: call.toolCallId,
      status: outcome.optionId === "yes" ? "completed" : "failed",
    });
    await this.say(`the answer was ${outcome.optionId}`);
    return "end_turn";
  }

  async wait(signal) {
    const cancelled = new Promise((resolve) =>
      signal.addEventListener("abort", resolve),
    );
    await this.say("waiting");
    await cancelled;
    return "cancelled";
  }

  async echo(text) {
    await this.say(`heard ${text}`);
    return "end_turn";
  }
}

const app = acp
  .agent({ name: "typescript-agent" })
  .onRequest(acp.methods.agent.initialize, ({ params }) => ({
    protocolVersion: params.protocolVersion,
    agentInfo: { name: "typescript-agent", version: "1.0.0" },
    agentCapabilities: {
      loadSession: true,
      sessionCapabilities: offersClose ? { close: {} } : {},
    },
  }))
  .onRequest(acp.methods.agent.session.new, () => {
    created += 1;
    const sessionId = `typescript-${process.pid}-${created}`;
    sessions.set(sessionId, new AbortController());
    return { sessionId };
  })
  .onRequest(acp.methods.agent.session.load, async ({ params, client }) => {
    if (!params.sessionId.startsWith("stored-")) throw notFound(params.sessionId);
    sessions.set(params.sessionId, new AbortController());
    const voice = new Voice(client, params.sessionId);
    await voice.say("an old question", "user_message_chunk");
    await voice.say("an old answer");
    return {};
  })
  .onRequest(acp.methods.agent.session.prompt, async ({ params, client }) => {
    if (!sessions.has(params.sessionId)) throw notFound(params.sessionId);
    const cancel = new AbortController();
    sessions.set(params.sessionId, cancel);
    const voice = new Voice(client, params.sessionId);
    const text = params.prompt.map((block) => block.text ?? "").join("");
    if (text === "edit") return { stopReason: await voice.edit() };
    if (text === "wait") return { stopReason: await voice.wait(cancel.signal) };
    return { stopReason: await voice.echo(text) };
  })
  .onNotification(acp.methods.agent.session.cancel, ({ params }) => {
    sessions.get(params.sessionId)?.abort();
  });

if (offersClose) {
  app.onRequest(acp.methods.agent.session.close, ({ params }) => {
    if (!sessions.has(params.sessionId)) throw notFound(params.sessionId);
    sessions.get(params.sessionId).abort();
    sessions.delete(params.sessionId);
    return {};
  });
}

app.connect(
  acp.ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)),
);
