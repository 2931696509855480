// Makes calls with the vendors' own SDKs: one JSON object a line in, one a line out.
//
// In: {client: "openai"|"anthropic", base, key, headers, retries, call, body, abortAfter}. Out: what the program got.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.env.NODE_CLIENTS}/`);
const { OpenAI } = require("openai");
const { Anthropic } = require("@anthropic-ai/sdk");

function clientOf({ client, base, key, headers, retries }) {
  const options = { apiKey: key ?? "sk-test", defaultHeaders: headers ?? {}, maxRetries: retries ?? 2, timeout: 20000 };
  return client === "openai"
    ? new OpenAI({ ...options, baseURL: `${base}/v1` })
    : new Anthropic({ ...options, baseURL: base });
}

// How each kind of call is made, and what is taken of its answer, whole or event by event.
const CALLS = {
  chat: {
    make: (sdk, body) => sdk.chat.completions.create(body),
    whole: ({ choices: [{ message, finish_reason }], usage }) => ({
      text: message.content ?? "",
      tools: (message.tool_calls ?? []).map(({ function: { name, arguments: given } }) => [name, given]),
      finish: finish_reason,
      tokens: usage?.total_tokens ?? null,
    }),
    event: (got, { choices, usage }) => {
      if (usage) got.tokens = usage.total_tokens;
      for (const { delta, finish_reason } of choices) {
        got.text += delta.content ?? "";
        for (const { index, function: { name, arguments: given } } of delta.tool_calls ?? []) {
          got.tools[index] ??= ["", ""];
          got.tools[index][0] += name ?? "";
          got.tools[index][1] += given ?? "";
        }
        got.finish = finish_reason ?? got.finish;
      }
    },
  },
  responses: {
    make: (sdk, body) => sdk.responses.create(body),
    whole: (answer) => ({ text: answer.output_text, tools: [], finish: answer.status, tokens: answer.usage?.total_tokens }),
    event: (got, event) => {
      if (event.type === "response.output_text.delta") got.text += event.delta;
      if (event.response?.status && event.type !== "response.created") got.finish = event.response.status;
      if (event.response?.usage) got.tokens = event.response.usage.total_tokens;
    },
  },
  messages: {
    make: (sdk, body) => sdk.messages.create(body),
    whole: ({ content, stop_reason, usage }) => ({
      text: content.filter(({ type }) => type === "text").map(({ text }) => text).join(""),
      tools: content.filter(({ type }) => type === "tool_use").map(({ name, input }) => [name, JSON.stringify(input)]),
      finish: stop_reason,
      tokens: usage.input_tokens + usage.output_tokens,
    }),
    event: (got, event) => {
      if (event.type === "content_block_start" && event.content_block.type === "tool_use") {
        got.tools.push([event.content_block.name, ""]);
      }
      if (event.type === "content_block_delta") {
        got.text += event.delta.text ?? "";
        if (event.delta.partial_json !== undefined) got.tools.at(-1)[1] += event.delta.partial_json;
      }
      if (event.type === "message_delta") {
        got.finish = event.delta.stop_reason;
        got.tokens = event.usage.output_tokens;
      }
    },
  },
};

// The whole message as the SDK's own helper puts it together.
async function helped(sdk, body) {
  const stream = sdk.messages.stream(body);
  return { events: 0, ...CALLS.messages.whole(await stream.finalMessage()) };
}

async function read(stream, call, abortAfter) {
  const got = { text: "", tools: [], finish: null, tokens: null, events: 0 };
  for await (const event of stream) {
    got.events += 1;
    call.event(got, event);
    if (got.events === abortAfter) {
      stream.controller.abort();
      return { ...got, aborted: true };
    }
  }
  return got;
}

async function run(asked) {
  const sdk = clientOf(asked);
  if (asked.call === "helped") return helped(sdk, asked.body);
  const call = CALLS[asked.call];
  const { data, response } = await call.make(sdk, asked.body).withResponse();
  const got = asked.body.stream ? await read(data, call, asked.abortAfter) : call.whole(data);
  return { ...got, status: response.status, headers: Object.fromEntries(response.headers) };
}

function told(error) {
  const headers = error.headers ? Object.fromEntries(error.headers) : {};
  const { status = null, type = null, code = null, message } = error;
  return { error: { name: error.constructor.name, status, type, code, message, body: error.error ?? null, headers } };
}

for await (const line of createInterface({ input: process.stdin })) {
  const got = await run(JSON.parse(line)).catch(told);
  process.stdout.write(`${JSON.stringify(got)}\n`);
}
