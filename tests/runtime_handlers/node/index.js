/* What tests/system/test_runtimes.py asks of a handler, in Node. Each event says what to do. */
const { appendFileSync, existsSync } = require("node:fs");
const { setTimeout: pause } = require("node:timers/promises");

const actions = {
  print: ({ text }) => console.log(text),
  throw: ({ text }) => {
    throw new Error(text);
  },
  reject: async ({ text }) => Promise.reject(new Error(text)),
  exit: ({ code }) => process.exit(code),
  async wait({ path }) {
    console.log("waiting");
    while (!existsSync(path)) {
      await pause(5);
    }
    console.log("waited");
  },
  touch: ({ path }) => appendFileSync(path, ""),
  numbers: ({ numbers }) => console.log(JSON.stringify(numbers)),
  context(_, context) {
    const { index, messageId, receiveCount, sentAt, route, queue, batchId, deadline } = context;
    const attributes = Object.fromEntries(
      Object.entries(context.attributes).map(([name, value]) => [name, String(value)]),
    );
    const known = { index, messageId, receiveCount, sentAt, route, queue, batchId, deadline };
    const left = context.secondsLeft();
    console.log(JSON.stringify({ ...known, attributes, system: context.message?.system ?? null,
      left: left === Infinity ? "for ever" : left > 0 }));
  },
  log({ text }, context) {
    for (const level of ["debug", "info", "warning", "error"]) {
      context.logger[level](text, { shop: 7, message: "mine" });
    }
  },
};

exports.handler = async (event, context) => actions[event.do](event, context);
