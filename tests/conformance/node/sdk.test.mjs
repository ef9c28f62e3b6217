// What the Node SDK's users do. `node_sdk.py` starts the gateway, and this file with its address and keys.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const [baseURL, apiKey, narrow] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "one two three four" }];
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
  },
};

test("an answer has text, reason and usage", async () => {
  const answer = await client.chat.completions.create({ model: "sim/echo", messages });
  assert.equal(answer.choices[0].message.content, "one two three four");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage.completion_tokens, 4);
});

test("a stream tells its usage only when asked, once, at the end", async () => {
  for (const include_usage of [false, true]) {
    const stream = await client.chat.completions.create({
      model: "sim/echo",
      messages,
      stream: true,
      stream_options: { include_usage },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    assert.equal(text, "one two three four");
    assert.equal(chunks.filter((chunk) => chunk.usage).length, include_usage ? 1 : 0);
    assert.equal(Boolean(chunks.at(-1).usage), include_usage);
  }
});

test("the streaming aid puts the answer together", async () => {
  const stream = client.chat.completions.stream({ model: "sim/echo", messages });
  assert.equal(await stream.finalContent(), "one two three four");
});

test("a forced tool is called with arguments that fit", async () => {
  const answer = await client.chat.completions.create({
    model: "sim/text",
    messages,
    tools: [weather],
    tool_choice: "required",
  });
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(answer.choices[0].finish_reason, "tool_calls");
  assert.equal(call.function.name, "weather");
  assert.equal(typeof JSON.parse(call.function.arguments).place, "string");
});

test("a response has text, usage and the status of its end", async () => {
  const response = await client.responses.create({ model: "sim/echo", input: "one two three four" });
  assert.equal(response.output_text, "one two three four");
  assert.equal(response.status, "completed");
  assert.equal(response.usage.output_tokens, 4);
  assert.equal(response.model, "sim/echo");
});

test("a response is streamed as events and put together by the streaming aid", async () => {
  const stream = client.responses.stream({ model: "sim/echo", input: "one two three four" });
  const types = new Set();
  let text = "";
  for await (const event of stream) {
    types.add(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  const final = await stream.finalResponse();
  assert.equal(text, "one two three four");
  assert.equal(final.output_text, text);
  assert.ok(types.has("response.created") && types.has("response.completed"));
});

test("a response calls a tool, and goes on with its result", async () => {
  const tools = [{ type: "function", ...weather.function, strict: false }];
  const input = [{ role: "user", content: "The weather in Oslo?" }];
  const first = await client.responses.create({ model: "sim/text", input, tools, tool_choice: "required" });
  const [call] = first.output;
  assert.equal(call.type, "function_call");
  assert.equal(typeof JSON.parse(call.arguments).place, "string");
  input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "rain" });
  const second = await client.responses.create({ model: "sim/text", input, tools });
  assert.ok(second.output_text.length > 0);
});

test("what needs storage is refused by its name", async () => {
  const asked = { model: "sim/echo", input: "x", previous_response_id: "resp_1" };
  await assert.rejects(client.responses.create(asked), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "previous_response_id");
    return true;
  });
});

test("a prompt is completed, whole and streamed", async () => {
  const asked = { model: "sim/echo", prompt: "one two", echo: true, max_tokens: 5 };
  const whole = await client.completions.create(asked);
  assert.equal(whole.object, "text_completion");
  assert.equal(whole.choices[0].text, "one twoone two");
  assert.equal(whole.choices[0].finish_reason, "stop");
  let text = "";
  const stream = await client.completions.create({ ...asked, stream: true });
  for await (const chunk of stream) text += chunk.choices[0].text;
  assert.equal(text, whole.choices[0].text);
});

test("models are listed and retrieved by ids with a slash", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("sim/echo"));
  assert.equal((await client.models.retrieve("sim/echo")).id, "sim/echo");
});

test("a wrong key is refused", async () => {
  const stranger = client.withOptions({ apiKey: "sk-nobody" });
  await assert.rejects(stranger.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
});

test("a model that the key may not call is refused", async () => {
  const other = client.withOptions({ apiKey: narrow });
  await assert.rejects(other.chat.completions.create({ model: "sim/text", messages }), (error) => {
    assert.ok(error instanceof OpenAI.PermissionDeniedError);
    assert.equal(error.code, "model_not_allowed");
    return true;
  });
});

test("a wrong parameter is named", async () => {
  await assert.rejects(client.chat.completions.create({ model: "sim/echo", messages, temperature: 3 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("a client that leaves mid-stream can call again", async () => {
  const stream = await client.chat.completions.create({ model: "sim/slow", messages, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) break;
  }
  const answer = await client.chat.completions.create({ model: "sim/echo", messages });
  assert.equal(answer.choices[0].finish_reason, "stop");
});
