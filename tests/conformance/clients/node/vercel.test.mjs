// What users of Vercel's AI SDK do, by its providers of three dialects' clients. `clients.py` starts the gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [origin, apiKey] = process.argv.slice(2);
const baseURL = `${origin}/v1`;
const named = { name: "deeptoken", baseURL, apiKey };
const models = {
  openai: createOpenAI({ baseURL, apiKey }).chat("mind"),
  compatible: createOpenAICompatible({ ...named, includeUsage: true, supportsStructuredOutputs: true })("mind"),
  anthropic: createAnthropic({ baseURL, apiKey })("mind"),
};
const place = z.object({ name: z.string(), inhabitants: z.number() });

for (const [name, model] of Object.entries(models)) {
  const options = { model, maxRetries: 0, maxOutputTokens: 500 };

  test(`${name}: a text, whole and streamed, with its usage`, async () => {
    const whole = await generateText({ ...options, prompt: "Hi" });
    const stream = streamText({ ...options, prompt: "Hi" });
    let said = "";
    for await (const part of stream.textStream) said += part;
    assert.equal(whole.text, "Hello there, friend.");
    assert.equal(said, whole.text);
    for (const usage of [whole.usage, await stream.usage]) assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
    assert.equal(whole.finishReason, "stop");
  });

  test(`${name}: a tool is called and its result told, whole and streamed`, async () => {
    const called = [];
    const weather = tool({
      description: "The weather of a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => (called.push(city), "rain"),
    });
    const asked = { ...options, prompt: "What is the weather in 'Oslo'?", tools: { weather }, stopWhen: stepCountIs(3) };
    const whole = await generateText(asked);
    const stream = streamText(asked);
    assert.match(await stream.text, /^The tool says: .*rain/);
    assert.match(whole.text, /^The tool says: .*rain/);
    assert.deepEqual(called, ["Oslo", "Oslo"]);
    assert.equal(whole.steps.length, 2);
  });

  test(`${name}: an object of a schema`, async () => {
    const told = await generateText({
      ...options,
      prompt: "Where is 'Oslo' with its 700 thousand people?",
      output: Output.object({ schema: place }),
    });
    assert.deepEqual(told.output, { name: "Oslo", inhabitants: 700 });
  });

  test(`${name}: an error has its status`, async () => {
    const stranger = {
      openai: createOpenAI({ baseURL, apiKey: "dtk_nobody" }).chat("mind"),
      compatible: createOpenAICompatible({ ...named, apiKey: "dtk_nobody" })("mind"),
      anthropic: createAnthropic({ baseURL, apiKey: "dtk_nobody" })("mind"),
    }[name];
    await assert.rejects(generateText({ ...options, model: stranger, prompt: "Hi" }), { statusCode: 401 });
  });
}
