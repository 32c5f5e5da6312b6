// The client of the interop tests, written with the official TypeScript SDK.
//
// `node client.mjs COMMAND ARGS…` starts the command as its agent, walks
// through the same conversation as `../rust_client.rs` and prints what it saw
// as one line of JSON. The command must then end by itself, with exit code 0.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import * as acp from "@agentclientprotocol/sdk";

const { agent: requests, client: incoming } = acp.methods;

/** What the agent has sent since the last `take`, in order. */
let seen = [];
let wanted = "allow_once";
/** Called when the agent says that it waits. */
let onWaiting = () => {};

function take(sessionId) {
  const entries = seen;
  seen = [];
  for (const { owner, entry } of entries) {
    if (owner !== sessionId) throw new Error(`another session's: ${entry}`);
  }
  return entries.map(({ entry }) => entry);
}

function describe(update) {
  switch (update.sessionUpdate) {
    case "user_message_chunk":
      return `user: ${update.content.text}`;
    case "agent_message_chunk":
      return `agent: ${update.content.text}`;
    case "tool_call":
      return `tool ${update.toolCallId}: ${update.title}`;
    case "tool_call_update":
      return `tool ${update.toolCallId}: ${update.status}`;
    default:
      return `unexpected: ${update.sessionUpdate}`;
  }
}

async function converse(ctx) {
  const turn = async (sessionId, text) => {
    const prompt = [{ type: "text", text }];
    const answer = await ctx.request(requests.session.prompt, { sessionId, prompt });
    return { stop: answer.stopReason, seen: take(sessionId) };
  };
  const cwd = process.cwd();
  const hello = await ctx.request(requests.initialize, {
    protocolVersion: acp.PROTOCOL_VERSION,
    clientInfo: { name: "typescript-client", version: "1.0.0" },
    clientCapabilities: {},
  });

  const { sessionId } = await ctx.request(requests.session.new, { cwd, mcpServers: [] });
  const allowed = await turn(sessionId, "edit");
  wanted = "reject_once";
  const rejected = await turn(sessionId, "edit");

  onWaiting = () => ctx.notify(requests.session.cancel, { sessionId });
  const cancelled = await turn(sessionId, "wait");

  const stored = "stored-7";
  await ctx.request(requests.session.load, { sessionId: stored, cwd, mcpServers: [] });
  const replayed = take(stored);
  const loaded = await turn(stored, "and now?");
  const again = await turn(sessionId, "still there?");
  for (const id of [sessionId, stored]) {
    await ctx.request(requests.session.close, { sessionId: id });
  }
  const refused = await turn(sessionId, "anyone?").catch((error) => error.code);
  return {
    protocolVersion: hello.protocolVersion,
    agent: hello.agentInfo?.name,
    bridge: hello._meta?.drawbridge instanceof Object,
    load: hello.agentCapabilities?.loadSession,
    close: hello.agentCapabilities?.sessionCapabilities?.close instanceof Object,
    allowed,
    rejected,
    cancelled,
    replayed,
    loaded,
    again,
    refused,
  };
}

const [command, ...args] = process.argv.slice(2);
const bridge = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
const exited = once(bridge, "exit");
const stream = acp.ndJsonStream(
  Writable.toWeb(bridge.stdin),
  Readable.toWeb(bridge.stdout),
);

const report = await acp
  .client({ name: "typescript-client" })
  .onNotification(incoming.session.update, ({ params }) => {
    const entry = describe(params.update);
    seen.push({ owner: params.sessionId, entry });
    if (entry === "agent: waiting") onWaiting();
  })
  .onRequest(incoming.session.requestPermission, ({ params }) => {
    const kinds = params.options.map((option) => option.kind).join(" or ");
    const entry = `question ${params.toolCall.toolCallId}: ${kinds}`;
    seen.push({ owner: params.sessionId, entry });
    const { optionId } = params.options.find((option) => option.kind === wanted);
    return { outcome: { outcome: "selected", optionId } };
  })
  .connectWith(stream, converse);

bridge.stdin.end();
const [exitCode] = await exited;
if (exitCode !== 0) throw new Error(`the agent's command ended with ${exitCode}`);
console.log(JSON.stringify(report));
