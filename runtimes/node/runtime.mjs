/*
 * Calls one function for each event of a batch, and tells the router which of them failed.
 *
 *   exports.handler = async (event, context) => { ... };          in /app/index.js
 *   exports.handlerBatch = async (events, context) => { ... };    or once for all of them
 *
 * An event is done when the function's promise is fulfilled. It has failed when the function throws
 * or rejects, when the process ends before it is done, and when it was not begun because the Machine
 * was told to stop. What failed is reported to the router, which retries that and deletes the rest.
 * Exit code 0 says that nothing failed or that the report was accepted; any other, and the router
 * retries the whole batch: whatever goes wrong here, no event is taken for done that is not.
 *
 * Nothing but Node (18 or newer) is needed. docs/runtimes.md has the contract.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";

// Read at once: a handler may change its environment, and with it that of everything below.
const environment = { ...process.env };
const EVENTS_PATH = environment.EVENTS_PATH || "/tmp/events.json";
const BATCH_PATH = environment.LAMBDO_BATCH_PATH || "/tmp/batch.json";
const HANDLERS = environment.LAMBDO_HANDLER
  ? [environment.LAMBDO_HANDLER]
  : ["/app/index.js", "/app/index.mjs", "/app/index.cjs"];

const STARTED = Date.now() / 1000;
const REPORT_PAUSES = [0.2, 0.6, 1.8]; // seconds before another attempt at a report
const REPORT_PATIENCE = 20; // seconds: the router asks Fly before it answers
const REPORT_MODE = "--report";

// ------------------------------------------------------------------------------------ the batch

/** What cannot be worked with at all. Nothing was run; the whole batch is to be retried. */
class Unusable extends Error {}

/** What cannot be read of one event. It has failed; the others go on. */
class Unreadable extends Error {}

class Job {
  outcome = null; // null | "done" | "failed"

  /** `unreadable` says why the function cannot be given it; null if it can. */
  constructor(event, index, context, unreadable) {
    Object.assign(this, { event, index, context, unreadable });
  }
}

function readBatch() {
  const events = readEvents();
  if (!Array.isArray(events)) {
    throw new Unusable(`${EVENTS_PATH} holds no JSON array of events`);
  }
  const batch = existsSync(BATCH_PATH) ? readJson(BATCH_PATH) : null;
  const messages = Array.isArray(batch?.messages) ? batch.messages.filter(isObject) : [];
  if (existsSync(BATCH_PATH) && messages.length !== events.length) {
    throw new Unusable(
      `${BATCH_PATH} does not describe the ${events.length} events of ${EVENTS_PATH}: ` +
        `it has ${messages.length} messages`,
    );
  }
  const about = {
    route: environment.LAMBDO_ROUTE ?? batch?.route ?? null,
    queue: environment.LAMBDO_QUEUE ?? batch?.queue ?? null,
    batchId: environment.LAMBDO_BATCH_ID ?? batch?.batch_id ?? null,
    deadline: Number(environment.LAMBDO_DEADLINE) || null,
  };
  const jobs = events.map((event, index) => jobOf(event, index, messages[index] ?? null, about));
  return { jobs, about };
}

function jobOf(event, index, message, about) {
  let attributes = {};
  let unreadable = event instanceof Unreadable ? event.message : null;
  try {
    attributes = attributesOf(message);
  } catch (error) {
    unreadable ??= `cannot read the attributes of its message: ${error.message}`;
  }
  return new Job(event, index, contextOf(message, attributes, index, about), unreadable);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Unusable(`cannot read ${path}: ${error.message}`);
  }
}

/** What the events file holds; an Unreadable in the place of an event that cannot be read. */
function readEvents() {
  try {
    return readJson(EVENTS_PATH);
  } catch (error) {
    const pieces = existsSync(EVENTS_PATH) ? piecesOf(readFileSync(EVENTS_PATH, "utf8")) : [];
    if (pieces.length === 0) {
      throw error;
    }
    return pieces.map(readEvent);
  }
}

function readEvent(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return new Unreadable(`cannot read the event: ${error.message}`);
  }
}

/** The texts between the commas of a JSON array; none if as a whole it is no array. */
function piecesOf(text) {
  const array = text.trim();
  const end = array.length - 1;
  const pieces = [];
  let [begin, depth, inText] = [1, 0, false];
  for (const { 0: token, index } of array.slice(0, end).matchAll(/\\.|["[\]{},]/gs)) {
    if (token === '"') {
      inText = !inText;
    } else if (inText || token.startsWith("\\") || index === 0) {
      continue;
    } else if ("[{".includes(token)) {
      depth += 1;
    } else if ("]}".includes(token)) {
      depth -= 1;
      if (depth < 0) {
        return [];
      }
    } else if (depth === 0) {
      pieces.push(array.slice(begin, index));
      begin = index + 1;
    }
  }
  const whole = array.startsWith("[") && array.endsWith("]") && depth === 0 && !inText;
  return whole ? [...pieces, array.slice(begin, end)] : [];
}

function attributesOf(message) {
  const written = message?.attributes ?? {};
  if (!isObject(written)) {
    throw new TypeError(`they are ${inspect(written)}`);
  }
  const read = Object.entries(written).map(([name, it]) => [name, valueOf(name, it)]);
  return Object.fromEntries(read);
}

function valueOf(name, it) {
  if (typeof it?.type !== "string" || typeof it.value !== "string") {
    throw new TypeError(`${inspect(name)} lacks a type or a value`);
  }
  if (it.type.split(".", 1)[0] !== "Binary") {
    return it.value;
  }
  const bytes = Buffer.from(it.value, "base64");
  if (bytes.toString("base64") !== it.value) {
    throw new TypeError(`${inspect(name)} is no base64`);
  }
  return bytes;
}

/** What the function is told about one event. `message` is its entry in the batch file, if any. */
function contextOf(message, attributes, index, about) {
  const messageId = typeof message?.message_id === "string" ? message.message_id : null;
  return {
    ...about,
    index,
    messageId,
    attributes,
    receiveCount: message?.receive_count ?? null,
    sentAt: message?.sent_at ?? null,
    message,
    secondsLeft: () => secondsUntil(about.deadline),
    logger: loggerOf({ message_id: messageId, ...named(about) }),
  };
}

function secondsUntil(deadline) {
  return deadline === null ? Infinity : deadline - Date.now() / 1000;
}

// ------------------------------------------------------------------------------------- the logs

function named(about) {
  return { route: about.route, batch_id: about.batchId };
}

/** One line of JSON: errors on stderr, everything else on stdout. */
function log(level, message, fields) {
  const head = { time: new Date().toISOString(), level, message };
  const line = { ...head, ...fields, ...head };
  const stream = level === "error" ? process.stderr : process.stdout;
  stream.write(`${asJson(line)}\n`);
}

function asJson(line) {
  try {
    return JSON.stringify(line, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  } catch {
    return JSON.stringify({ ...line, fields: inspect(line) }, ["time", "level", "message", "fields"]);
  }
}

function loggerOf(known) {
  const at = (level) => (message, fields) => {
    const own = fields instanceof Error ? { error: textOf(fields) } : fields;
    log(level, String(message), { ...own, ...known });
  };
  return { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
}

function settle(job, error, began) {
  job.outcome = error === null ? "done" : "failed";
  log(error === null ? "info" : "error", `event ${job.outcome}`, {
    outcome: job.outcome,
    ms: began === null ? 0 : Math.round((performance.now() - began) * 10) / 10,
    index: job.index,
    message_id: job.context.messageId,
    receive_count: job.context.receiveCount,
    ...named(job.context),
    ...(error === null ? {} : { error }),
  });
}

function textOf(thrown) {
  return thrown instanceof Error ? (thrown.stack ?? String(thrown)) : inspect(thrown);
}

// ---------------------------------------------------------------------------------- the function

/** The function and whether it takes the whole batch. */
async function loadHandler() {
  const path = HANDLERS.map((name) => resolve(name)).find(existsSync);
  if (path === undefined) {
    throw new Unusable(`there is no handler file ${HANDLERS.join(", nor ")}`);
  }
  let found;
  try {
    found = await import(pathToFileURL(path));
  } catch (error) {
    throw new Unusable(`cannot load ${path}: ${textOf(error)}`);
  }
  // `module.exports` and `export default` both come as `default`.
  const whole = found.default;
  const one = found.handler ?? whole?.handler ?? (typeof whole === "function" ? whole : undefined);
  const all = found.handlerBatch ?? whole?.handlerBatch;
  if ((typeof one === "function") === (typeof all === "function")) {
    const what = all === undefined ? "neither" : "both of";
    throw new Unusable(
      `${path} exports ${what} \`handler\` and \`handlerBatch\`; export one of them, like ` +
        "`exports.handler = async (event, context) => {}` or `export const handler = ...`",
    );
  }
  return typeof all === "function" ? { call: all, takesAll: true } : { call: one, takesAll: false };
}

let told = null; // the signal that told the Machine to stop

/** Why no further event is to be begun; null while there is no reason. */
function reasonToStop(deadline) {
  if (told !== null) {
    return `${told} came before it was begun`;
  }
  // What is done by then can still be reported; at the deadline the Machine is destroyed. A deadline
  // that was over at the start comes of clocks that differ, and says nothing.
  const window = deadline === null ? 0 : deadline - STARTED;
  if (window > 0 && secondsUntil(deadline) < Math.min(5, window / 10)) {
    return "the deadline came before it was begun";
  }
  return null;
}

async function callForEach(call, jobs, deadline) {
  const concurrency = Number(environment.LAMBDO_CONCURRENCY || 1);
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new Unusable(`LAMBDO_CONCURRENCY is ${environment.LAMBDO_CONCURRENCY}; write 1 or more`);
  }
  const waiting = jobs.values();
  const worker = async () => {
    for (const job of waiting) {
      await nextTurn(); // signals are heard there, also between functions that await nothing
      await callFor(call, job, reasonToStop(deadline));
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, jobs.length) }, worker));
}

async function callFor(call, job, whyNot) {
  if (whyNot !== null) {
    settle(job, whyNot, null);
    return;
  }
  const began = performance.now();
  let error = null;
  try {
    await call(job.event, job.context);
  } catch (thrown) {
    error = textOf(thrown);
  }
  settle(job, error, began);
}

async function callForAll(call, jobs, about) {
  const whyNot = reasonToStop(about.deadline);
  if (whyNot !== null) {
    jobs.forEach((job) => settle(job, whyNot, null));
    return;
  }
  const context = {
    ...about,
    messages: jobs.map(({ context: { messageId, attributes, receiveCount, sentAt, message } }) => ({
      messageId, attributes, receiveCount, sentAt, message,
    })),
    secondsLeft: () => secondsUntil(about.deadline),
    logger: loggerOf(named(about)),
  };
  const began = performance.now();
  let errorOf;
  try {
    const events = jobs.map((job) => job.event);
    errorOf = readFailures(await call(events, context), jobs);
  } catch (thrown) {
    errorOf = () => textOf(thrown);
  }
  jobs.forEach((job) => settle(job, errorOf(job), began));
}

/** What `{batchItemFailures: [{itemIdentifier}]}` says of each job. Throws if it names no message. */
function readFailures(returned, jobs) {
  const items = returned?.batchItemFailures ?? [];
  if (!Array.isArray(items)) {
    throw new TypeError(`batchItemFailures is ${inspect(items)}, and no array`);
  }
  const known = new Set(jobs.map((job) => job.context.messageId));
  const failed = new Set(items.map((item) => item?.itemIdentifier ?? ""));
  for (const id of failed) {
    if (!known.has(id)) {
      throw new Error(`batchItemFailures names ${inspect(id)}, which is no message of the batch`);
    }
  }
  return (job) => (failed.has(job.context.messageId) ? "returned in batchItemFailures" : null);
}

// ------------------------------------------------------------------------------------ the report

/** The report of what failed; null if it cannot be told apart from the rest, or if nobody asks. */
function reportOf(failed) {
  const ids = failed.map((job) => job.context.messageId);
  return environment.LAMBDO_REPORT_URL && !ids.includes(null)
    ? JSON.stringify({ batchItemFailures: ids.map((id) => ({ itemIdentifier: id })) })
    : null;
}

/** Send a report; whether it was accepted. */
async function send(report) {
  for (let attempt = 0; ; attempt += 1) {
    const { status, text } = await post(report);
    if (status === 200) {
      return true;
    }
    const mayPass = status === 0 || status === 429 || status >= 500;
    const wait = REPORT_PAUSES[attempt];
    if (!mayPass || wait === undefined) {
      log("error", "the report was not accepted", { status, answer: text });
      return false;
    }
    await pause(wait * 1000);
  }
}

async function post(report) {
  try {
    const response = await fetch(environment.LAMBDO_REPORT_URL, {
      method: "POST",
      headers: {
        authorization: `Bearer ${environment.LAMBDO_REPORT_TOKEN ?? ""}`,
        "content-type": "application/json",
      },
      body: report,
      redirect: "manual", // the token is for the router alone
      signal: AbortSignal.timeout(REPORT_PATIENCE * 1000),
    });
    return { status: response.status, text: (await response.text()).slice(0, 500) };
  } catch (error) {
    return { status: 0, text: String(error.cause ?? error) };
  }
}

function sumUp(jobs, exitCode) {
  const failed = jobs.filter((job) => job.outcome !== "done").length;
  log(exitCode === 0 ? "info" : "error", "batch ended", {
    events: jobs.length,
    failed,
    retried: exitCode === 0 ? failed : jobs.length,
    exit_code: exitCode,
    ...named(batch.about),
  });
}

// -------------------------------------------------------------------------------------- the life

const batch = { jobs: [], about: { route: null, batchId: null } };
let running = false; // whether the function was found: from then on events may be done

async function main() {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => (told = signal));
  }
  process.on("exit", endedEarly);
  Object.assign(batch, readBatch());
  const { jobs, about } = batch;
  const { call, takesAll } = await loadHandler();
  running = true;
  jobs.filter((job) => job.unreadable).forEach((job) => settle(job, job.unreadable, null));
  const readable = jobs.filter((job) => !job.unreadable);
  if (!takesAll) {
    await callForEach(call, readable, about.deadline);
  } else if (readable.length > 0) {
    await callForAll(call, readable, about);
  }
  const failed = jobs.filter((job) => job.outcome !== "done");
  const report = failed.length > 0 ? reportOf(failed) : null;
  const exitCode = failed.length === 0 || (report !== null && (await send(report))) ? 0 : 1;
  end(exitCode);
}

function end(exitCode) {
  running = false;
  process.off("exit", endedEarly);
  sumUp(batch.jobs, exitCode);
  process.exit(exitCode);
}

/**
 * The process ends, and not by our doing: `process.exit`, an error that nobody caught, or nothing
 * left to wait for. Nothing asynchronous happens any more, so another process sends the report.
 */
function endedEarly(code) {
  process.exitCode = code || 1;
  if (!running) {
    log("error", "the process ended while the handler file was loaded");
    return;
  }
  const failed = batch.jobs.filter((job) => job.outcome !== "done");
  for (const job of failed.filter((job) => job.outcome === null)) {
    settle(job, "the process ended before it was done", null);
  }
  const report = failed.length > 0 ? reportOf(failed) : null;
  if (failed.length === 0 || (report !== null && sendFromElsewhere(report))) {
    process.exitCode = 0;
  }
  sumUp(batch.jobs, process.exitCode);
}

function sendFromElsewhere(report) {
  const here = fileURLToPath(import.meta.url);
  const options = { input: report, env: environment, stdio: ["pipe", "inherit", "inherit"] };
  return spawnSync(process.execPath, [here, REPORT_MODE], options).status === 0;
}

if (process.argv[2] === REPORT_MODE) {
  process.exit((await send(readFileSync(0, "utf8"))) ? 0 : 1);
}
try {
  await main();
} catch (error) {
  log("error", error instanceof Unusable ? error.message : textOf(error));
  end(1);
}
