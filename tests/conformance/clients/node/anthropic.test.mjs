// What users of Anthropic's Node SDK do. `clients.py` starts the gateway, and this file with its address and key.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "one two three four" }];
const asked = { model: "sim/echo", max_tokens: 100, messages };
const weather = {
  name: "get_weather",
  input_schema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
};

test("an answer has text, reason, usage and its request's id", async () => {
  const answer = await client.messages.create(asked);
  assert.deepEqual(answer.content, [{ type: "text", text: "one two three four" }]);
  assert.equal(answer.stop_reason, "end_turn");
  assert.equal(answer.usage.output_tokens, 4);
  assert.ok(answer._request_id);
});

test("a stream has its events in order, and the aid puts them together", async () => {
  const kinds = [];
  for await (const event of await client.messages.create({ ...asked, stream: true })) kinds.push(event.type);
  assert.equal(kinds[0], "message_start");
  assert.equal(kinds.at(-1), "message_stop");
  const whole = await client.messages.stream(asked).finalMessage();
  assert.equal(whole.content[0].text, "one two three four");
  assert.equal(whole.usage.output_tokens, 4);
});

test("a tool is called, and its result goes back", async () => {
  const options = { model: "sim/text", max_tokens: 100, tools: [weather] };
  const first = await client.messages.stream({ ...options, messages, tool_choice: { type: "any" } }).finalMessage();
  const [call] = first.content;
  assert.equal(first.stop_reason, "tool_use");
  assert.equal(typeof call.input.place, "string");
  const second = await client.messages.create({
    ...options,
    messages: [
      ...messages,
      { role: "assistant", content: first.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "rain" }] },
    ],
  });
  assert.equal(second.content[0].type, "text");
});

test("tokens are counted", async () => {
  const { max_tokens, ...counted } = asked;
  assert.ok((await client.messages.countTokens(counted)).input_tokens > 0);
});

test("errors are those that it knows", async () => {
  const stranger = client.withOptions({ apiKey: "dtk_nobody" });
  await assert.rejects(stranger.messages.create(asked), (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.error.error.code, "invalid_api_key");
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(client.messages.create({ ...asked, model: "nobody/knows" }), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...asked, messages: [] }), Anthropic.BadRequestError);
});

test("a stream that breaks off raises after what was delivered", async () => {
  const stream = client.messages.stream({ ...asked, model: "broken/cut" });
  let said = "";
  stream.on("text", (text) => (said += text));
  await assert.rejects(stream.finalMessage(), Anthropic.APIError);
  assert.equal(said.trim().split(/\s+/).length, 5);
});
