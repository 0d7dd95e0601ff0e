<?php

/*
 * Calls one function for each event of a batch, and tells the router which of them failed.
 *
 *   return function (array $event, $context) { ... };                           in /app/index.php
 *   return ['handlerBatch' => function (array $events, $context) { ... }];      or once for all
 *
 * An event is done when the function returns. It has failed when the function throws, when the
 * process ends before it is done, and when it was not begun because the Machine was told to stop.
 * What failed is reported to the router, which retries that and deletes the rest. Exit code 0 says
 * that nothing failed or that the report was accepted; any other, and the router retries the whole
 * batch: whatever goes wrong here, no event is taken for done that is not.
 *
 * Nothing but PHP (8.1 or newer) is needed. With its extension pcntl a Machine that is told to stop
 * finishes the current event, and LAMBDO_CONCURRENCY may be above 1. docs/runtimes.md has the
 * contract.
 */

namespace Lambdo;

const REPORT_PAUSES = [0.2, 0.6, 1.8];  // seconds before another attempt at a report
const REPORT_PATIENCE = 20;             // seconds: the router asks Fly before it answers

// ------------------------------------------------------------------------------------ the batch

/** What cannot be worked with at all. Nothing was run; the whole batch is to be retried. */
final class Unusable extends \RuntimeException
{
}

/** What cannot be read of one event. It has failed; the others go on. */
final class Unreadable extends \RuntimeException
{
}

final class Job
{
    public ?string $outcome = null;  // null, 'done' or 'failed'

    /** `$unreadable` says why the function cannot be given it. */
    public function __construct(
        public readonly mixed $event,
        public readonly int $index,
        public readonly Context $context,
        public readonly ?string $unreadable,
    ) {
    }
}

/** What a function is told about the batch. */
class About
{
    public readonly Logger $logger;

    public function __construct(
        public readonly ?string $route = null,
        public readonly ?string $queue = null,
        public readonly ?string $batchId = null,
        public readonly ?float $deadline = null,  // unix seconds; then the Machine is destroyed
        ?string $messageId = null,
    ) {
        $this->logger = new Logger(['message_id' => $messageId, ...named($this)]);
    }

    /** Infinite without a deadline. */
    public function secondsLeft(): float
    {
        return $this->deadline === null ? INF : $this->deadline - microtime(true);
    }
}

/** What the function is told about one event, and about its batch. */
final class Context extends About
{
    public readonly ?string $messageId;
    public readonly ?int $receiveCount;
    public readonly ?float $sentAt;

    /**
     * `$message` is the event's entry in the batch file, if there is one, and `$attributes` has text,
     * also of numbers, and the bytes of Binary ones.
     */
    public function __construct(
        About $about,
        public readonly int $index,
        public readonly ?array $message,
        public readonly array $attributes,
    ) {
        $known = fn (string $name, string $check) => $check($message[$name] ?? null) ? $message[$name] : null;
        $this->messageId = $known('message_id', 'is_string');
        $this->receiveCount = $known('receive_count', 'is_int');
        $this->sentAt = $known('sent_at', 'is_numeric');
        parent::__construct($about->route, $about->queue, $about->batchId, $about->deadline, $this->messageId);
    }
}

/** What a function for the whole batch is told: `messages` has the context of each event. */
final class BatchContext extends About
{
    /** @param Context[] $messages */
    public function __construct(About $about, public readonly array $messages)
    {
        parent::__construct($about->route, $about->queue, $about->batchId, $about->deadline);
    }
}

/** @return array{Job[], About} */
function read_batch(): array
{
    $events_path = setting('EVENTS_PATH') ?? '/tmp/events.json';
    $batch_path = setting('LAMBDO_BATCH_PATH') ?? '/tmp/batch.json';
    $events = read_events($events_path);
    if (!is_array($events) || !array_is_list($events)) {
        throw new Unusable("$events_path holds no JSON array of events");
    }
    $batch = file_exists($batch_path) ? read_json($batch_path) : null;
    $messages = $batch === null ? array_fill(0, count($events), null) : $batch['messages'] ?? null;
    if ($batch !== null && count(array_filter((array) $messages, 'is_array')) !== count($events)) {
        throw new Unusable(
            "$batch_path does not describe the " . count($events) . " events of $events_path: it has "
            . count(array_filter((array) $messages, 'is_array')) . ' messages'
        );
    }
    $about = new About(
        setting('LAMBDO_ROUTE') ?? $batch['route'] ?? null,
        setting('LAMBDO_QUEUE') ?? $batch['queue'] ?? null,
        setting('LAMBDO_BATCH_ID') ?? $batch['batch_id'] ?? null,
        ((float) setting('LAMBDO_DEADLINE')) ?: null,
    );
    $job = fn (mixed $event, int $index) => job_of($about, $index, $event, $messages[$index]);
    return [array_map($job, $events, array_keys($events)), $about];
}

function job_of(About $about, int $index, mixed $event, ?array $message): Job
{
    $unreadable = $event instanceof Unreadable ? $event->getMessage() : null;
    $attributes = [];
    try {
        $attributes = attributes_of($message ?? []);
    } catch (Unreadable $problem) {
        $unreadable ??= $problem->getMessage();
    }
    return new Job($event, $index, new Context($about, $index, $message, $attributes), $unreadable);
}

/** Of a message: name and value. */
function attributes_of(array $message): array
{
    $written = $message['attributes'] ?? [];
    $refuse = fn (string $what) => throw new Unreadable("cannot read the attributes of its message: $what");
    if (!is_array($written)) {
        $refuse('they are ' . get_debug_type($written));
    }
    $attributes = [];
    foreach ($written as $name => $it) {
        if (!is_array($it) || !is_string($it['type'] ?? null) || !is_string($it['value'] ?? null)) {
            $refuse(var_export($name, true) . ' lacks a type or a value');
        }
        $is_binary = explode('.', $it['type'], 2)[0] === 'Binary';
        $attributes[$name] = $is_binary ? base64_decode($it['value'], true) : $it['value'];
        if ($is_binary && base64_encode((string) $attributes[$name]) !== $it['value']) {
            $refuse(var_export($name, true) . ' is no base64');
        }
    }
    return $attributes;
}

/** What the events file holds; an Unreadable in the place of an event that cannot be read. */
function read_events(string $path): mixed
{
    try {
        return read_json($path);
    } catch (Unusable $problem) {
        $pieces = pieces_of((string) @file_get_contents($path));
        return $pieces === [] ? throw $problem : array_map(read_event(...), $pieces);
    }
}

function read_event(string $text): mixed
{
    try {
        return decode($text);
    } catch (\JsonException $problem) {
        return new Unreadable("cannot read the event: {$problem->getMessage()}");
    }
}

/** The texts between the commas of a JSON array; none if as a whole it is no array. */
function pieces_of(string $array): array
{
    $array = trim($array);
    $end = strlen($array) - 1;
    [$pieces, $begin, $depth, $in_text] = [[], 1, 0, false];
    for ($at = 1; ($at += strcspn($array, '"\\[]{},', $at)) < $end; $at++) {
        $token = $array[$at];
        if ($token === '"') {
            $in_text = !$in_text;
        } elseif ($token === '\\') {
            $at++;  // what comes next is no token
        } elseif ($in_text) {
            continue;
        } elseif ($token === '[' || $token === '{') {
            $depth++;
        } elseif ($token === ']' || $token === '}') {
            if (--$depth < 0) {
                return [];
            }
        } elseif ($depth === 0) {
            $pieces[] = substr($array, $begin, $at - $begin);
            $begin = $at + 1;
        }
    }
    $whole = $end > 0 && $array[0] === '[' && $array[$end] === ']' && $depth === 0 && !$in_text;
    return $whole ? [...$pieces, substr($array, $begin, $end - $begin)] : [];
}

function read_json(string $path): mixed
{
    $text = @file_get_contents($path);
    if ($text === false) {
        throw new Unusable("cannot read $path: " . (error_get_last()['message'] ?? 'no reason given'));
    }
    try {
        return decode($text);
    } catch (\JsonException $problem) {
        throw new Unusable("cannot read $path: {$problem->getMessage()}");
    }
}

/** Objects become arrays; whole numbers beyond 64 bits become texts, with all their digits. */
function decode(string $json): mixed
{
    return json_decode($json, true, flags: JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
}

function setting(string $name): ?string
{
    $value = getenv($name);
    return $value === false || $value === '' ? null : $value;
}

// ------------------------------------------------------------------------------------- the logs

function named(About $about): array
{
    return ['route' => $about->route, 'batch_id' => $about->batchId];
}

/** One line of JSON: errors on stderr, everything else on stdout. */
function log(string $level, string $message, array $fields = []): void
{
    $now = \DateTimeImmutable::createFromFormat('U.u', sprintf('%.6F', microtime(true)));
    $head = ['time' => $now->format('Y-m-d\TH:i:s.v\Z'), 'level' => $level, 'message' => $message];
    $flags = JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR;
    $line = json_encode([...$head, ...$fields, ...$head], $flags);
    fwrite($level === 'error' ? STDERR : STDOUT, "$line\n");
}

final class Logger
{
    public function __construct(private readonly array $known)
    {
    }

    public function debug(string $message, array $fields = []): void
    {
        log('debug', $message, [...$fields, ...$this->known]);
    }

    public function info(string $message, array $fields = []): void
    {
        log('info', $message, [...$fields, ...$this->known]);
    }

    public function warning(string $message, array $fields = []): void
    {
        log('warning', $message, [...$fields, ...$this->known]);
    }

    public function error(string $message, array $fields = []): void
    {
        log('error', $message, [...$fields, ...$this->known]);
    }
}

function settle(Job $job, About $about, ?string $error, ?float $began): void
{
    $job->outcome = $error === null ? 'done' : 'failed';
    log($error === null ? 'info' : 'error', "event {$job->outcome}", [
        'outcome' => $job->outcome,
        'ms' => $began === null ? 0 : round((microtime(true) - $began) * 1000, 1),
        'index' => $job->index,
        'message_id' => $job->context->messageId,
        'receive_count' => $job->context->receiveCount,
        ...named($about),
        ...($error === null ? [] : ['error' => $error]),
    ]);
}

// ---------------------------------------------------------------------------------- the function

/** @return array{callable, bool} the function, and whether it takes the whole batch */
function load_handler(): array
{
    $path = realpath(setting('LAMBDO_HANDLER') ?? '/app/index.php');
    if ($path === false) {
        throw new Unusable('there is no handler file ' . (setting('LAMBDO_HANDLER') ?? '/app/index.php'));
    }
    try {
        $found = (static fn () => require $path)();
    } catch (\Throwable $thrown) {
        throw new Unusable("cannot load $path: $thrown");
    }
    if (is_callable($found)) {
        return [$found, false];
    }
    $one = is_array($found) ? $found['handler'] ?? null : null;
    $all = is_array($found) ? $found['handlerBatch'] ?? null : null;
    if (is_callable($one) === is_callable($all)) {
        throw new Unusable(
            "$path returns " . get_debug_type($found) . '; return a function, like '
            . '`return function (array $event, $context) { ... };`, or one function for the whole '
            . "batch: `return ['handlerBatch' => function (array \$events, \$context) { ... }];`"
        );
    }
    return is_callable($all) ? [$all, true] : [$one, false];
}

/** Why no further event is to be begun; null while there is no reason. */
function reason_to_stop(Run $run): ?string
{
    if ($run->told !== null) {
        return "{$run->told} came before it was begun";
    }
    // What is done by then can still be reported; at the deadline the Machine is destroyed. A
    // deadline that was over at the start comes of clocks that differ, and says nothing.
    $window = $run->about->deadline === null ? 0 : $run->about->deadline - $run->started;
    if ($window > 0 && $run->about->secondsLeft() < min(5, $window / 10)) {
        return 'the deadline came before it was begun';
    }
    return null;
}

/** @return Job[] those that the function can be given */
function readable(Run $run): array
{
    return array_values(array_filter($run->jobs, fn (Job $job) => $job->unreadable === null));
}

function call_for_each(callable $call, Run $run): void
{
    $asked = setting('LAMBDO_CONCURRENCY') ?? '1';
    if (!ctype_digit($asked) || (int) $asked < 1) {
        throw new Unusable("LAMBDO_CONCURRENCY is $asked; write 1 or more");
    }
    if ((int) $asked > 1 && function_exists('pcntl_fork')) {
        call_in_processes($call, $run, (int) $asked);
        return;
    }
    if ((int) $asked > 1) {
        log('warning', 'LAMBDO_CONCURRENCY needs the extension pcntl; events are run one by one');
    }
    foreach (readable($run) as $job) {
        call_for($call, $job, $run);
    }
}

function call_for(callable $call, Job $job, Run $run): void
{
    if (($why_not = reason_to_stop($run)) !== null) {
        settle($job, $run->about, $why_not, null);
        return;
    }
    $began = microtime(true);
    $error = null;
    try {
        $call($job->event, $job->context);
    } catch (\Throwable $thrown) {
        $error = (string) $thrown;
    }
    stop_if_forked($run);
    settle($job, $run->about, $error, $began);
}

/** Every event in a process of its own, so many at a time: PHP itself does one thing at a time. */
function call_in_processes(callable $call, Run $run, int $concurrency): void
{
    $running = [];
    $waiting = readable($run);
    while ($waiting !== [] || $running !== []) {
        while ($waiting !== [] && count($running) < $concurrency) {
            $job = array_shift($waiting);
            if (($why_not = reason_to_stop($run)) !== null) {
                settle($job, $run->about, $why_not, null);
                continue;
            }
            [$ours, $childs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
            $child = pcntl_fork();
            if ($child === 0) {
                $run->process = getmypid();
                $run->phase = 'over';
                call_for($call, $job, $run);
                fwrite($childs, $job->outcome);
                exit;
            }
            if ($child === -1) {
                settle($job, $run->about, 'no process could be started for it', null);
                continue;
            }
            stream_set_blocking($ours, false);
            $running[$child] = [$job, microtime(true), $ours];
        }
        foreach (ended_of($running) as $child) {
            [$job, $began, $ours] = $running[$child];
            unset($running[$child]);
            // Its exit code says nothing: the function may have ended it. Only its last word counts.
            $job->outcome = fread($ours, 16) ?: null;
            if ($job->outcome === null) {
                settle($job, $run->about, 'the process ended before it was done', $began);
            }
        }
    }
}

/** The children that have ended; waits for one. */
function ended_of(array $running): array
{
    $ended = $running === [] ? 0 : pcntl_wait($status);
    if ($ended === -1) {
        // A signal came, or the function's file sees to its children itself, and all are over.
        return pcntl_get_last_error() === PCNTL_EINTR ? [] : array_keys($running);
    }
    return isset($running[$ended]) ? [$ended] : [];
}

function call_for_all(callable $call, Run $run): void
{
    $jobs = readable($run);
    if (($why_not = reason_to_stop($run)) !== null) {
        array_walk($jobs, fn (Job $job) => settle($job, $run->about, $why_not, null));
        return;
    }
    $context = new BatchContext($run->about, array_map(fn (Job $job) => $job->context, $jobs));
    $began = microtime(true);
    try {
        $returned = $call(array_map(fn (Job $job) => $job->event, $jobs), $context);
        stop_if_forked($run);
        $failed = read_failures($returned, $jobs);
        $error_of = fn (Job $job) =>
            in_array($job->context->messageId, $failed, true) ? 'returned in batchItemFailures' : null;
    } catch (\Throwable $thrown) {
        stop_if_forked($run);
        $error_of = fn (Job $job) => (string) $thrown;
    }
    array_walk($jobs, fn (Job $job) => settle($job, $run->about, $error_of($job), $began));
}

/** The ids in `['batchItemFailures' => [['itemIdentifier' => ...]]]`. Throws if one is of no message. */
function read_failures(mixed $returned, array $jobs): array
{
    $items = is_array($returned) ? $returned['batchItemFailures'] ?? [] : [];
    $failed = array_map(fn (mixed $item) => is_array($item) ? $item['itemIdentifier'] ?? '' : '', $items);
    $known = array_map(fn (Job $job) => $job->context->messageId, $jobs);
    foreach ($failed as $id) {
        if (!in_array($id, $known, true)) {
            throw new \UnexpectedValueException(
                'batchItemFailures names ' . var_export($id, true) . ', which is no message of the batch'
            );
        }
    }
    return $failed;
}

/** A child that the function has forked, and that comes back from it, must not go on with the batch. */
function stop_if_forked(Run $run): void
{
    if (getmypid() !== $run->process) {
        exit(1);
    }
}

// ------------------------------------------------------------------------------------ the report

/** Report what failed; whether that was accepted. False too if nobody asks, or no id is known. */
function report(array $failed): bool
{
    $ids = array_map(fn (Job $job) => $job->context->messageId, $failed);
    if (setting('LAMBDO_REPORT_URL') === null || in_array(null, $ids, true)) {
        return false;
    }
    $items = array_map(fn (string $id) => ['itemIdentifier' => $id], array_values($ids));
    return send(json_encode(['batchItemFailures' => $items], JSON_THROW_ON_ERROR));
}

function send(string $report): bool
{
    for ($attempt = 0;; $attempt++) {
        [$status, $text] = post($report);
        if ($status === 200) {
            return true;
        }
        $may_pass = $status === 0 || $status === 429 || $status >= 500;
        $wait = REPORT_PAUSES[$attempt] ?? null;
        if (!$may_pass || $wait === null) {
            log('error', 'the report was not accepted', ['status' => $status, 'answer' => $text]);
            return false;
        }
        usleep((int) ($wait * 1e6));
    }
}

/** @return array{int, string} the status, 0 if there was no answer, and the text */
function post(string $report): array
{
    $options = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Bearer ' . setting('LAMBDO_REPORT_TOKEN'),
            'Content-Type: application/json',
            'Connection: close',
        ],
        'content' => $report,
        'protocol_version' => 1.1,
        'ignore_errors' => true,   // the body of an error says what is wrong
        'follow_location' => 0,    // the token is for the router alone
        'timeout' => REPORT_PATIENCE,
    ]]);
    error_clear_last();
    $answer = @fopen(setting('LAMBDO_REPORT_URL'), 'r', false, $options);
    if ($answer === false) {
        return [0, error_get_last()['message'] ?? 'no connection'];
    }
    $lines = stream_get_meta_data($answer)['wrapper_data'];
    $text = (string) @stream_get_contents($answer, 500);
    fclose($answer);
    return [preg_match('~^HTTP/\S+ (\d{3})~', $lines[0] ?? '', $found) ? (int) $found[1] : 0, $text];
}

// -------------------------------------------------------------------------------------- the life

final class Run
{
    /** @var Job[] */
    public array $jobs = [];
    public About $about;
    public ?string $told = null;       // the signal that told the Machine to stop
    public string $phase = 'loading';  // then 'running', and 'over' when all is said
    public readonly float $started;
    public int $process;

    public function __construct()
    {
        $this->about = new About();
        $this->started = microtime(true);
        $this->process = getmypid();
    }
}

function main(): never
{
    $run = new Run();
    // The Machine's memory is the limit, and warnings do not belong into the function's own output.
    ini_set('memory_limit', '-1');
    ini_set('display_errors', 'stderr');
    ini_set('log_errors', '0');
    register_shutdown_function(fn () => ended_early($run));
    if (function_exists('pcntl_async_signals')) {
        pcntl_async_signals(true);
        foreach (['SIGTERM' => SIGTERM, 'SIGINT' => SIGINT] as $name => $number) {
            pcntl_signal($number, function () use ($run, $name) { $run->told = $name; });
        }
    }
    try {
        [$run->jobs, $run->about] = read_batch();
        [$call, $takes_all] = load_handler();
        $run->phase = 'running';
        foreach ($run->jobs as $job) {
            if ($job->unreadable !== null) {
                settle($job, $run->about, $job->unreadable, null);
            }
        }
        if (!$takes_all) {
            call_for_each($call, $run);
        } elseif (readable($run) !== []) {
            call_for_all($call, $run);
        }
        finish($run);
    } catch (Unusable $problem) {
        log('error', $problem->getMessage());
        sum_up($run, 1);
    }
}

/** Report what is not done, and end. */
function finish(Run $run): never
{
    $failed = array_filter($run->jobs, fn (Job $job) => $job->outcome !== 'done');
    sum_up($run, $failed === [] || report($failed) ? 0 : 1);
}

function sum_up(Run $run, int $exit_code): never
{
    $run->phase = 'over';
    $failed = count(array_filter($run->jobs, fn (Job $job) => $job->outcome !== 'done'));
    log($exit_code === 0 ? 'info' : 'error', 'batch ended', [
        'events' => count($run->jobs),
        'failed' => $failed,
        'retried' => $exit_code === 0 ? $failed : count($run->jobs),
        'exit_code' => $exit_code,
        ...named($run->about),
    ]);
    exit($exit_code);
}

/** The script ends, and not by our doing: `exit`, or an error that PHP lets nobody catch. */
function ended_early(Run $run): void
{
    if ($run->phase === 'over' || getmypid() !== $run->process) {
        return;
    }
    if ($run->phase === 'loading') {
        log('error', 'the process ended while the handler file was loaded');
        exit(1);
    }
    foreach ($run->jobs as $job) {
        if ($job->outcome === null) {
            settle($job, $run->about, 'the process ended before it was done', null);
        }
    }
    finish($run);
}

main();
