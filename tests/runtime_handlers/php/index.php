<?php

/* What tests/system/test_runtimes.py asks of a handler, in PHP. Each event says what to do. */

$actions = [
    'print' => function (array $event) { echo $event['text'], "\n"; },
    'throw' => function (array $event) { throw new RuntimeException($event['text']); },
    'reject' => function (array $event) { throw new Error($event['text']); },
    'exit' => function (array $event) { exit($event['code']); },
    'wait' => function (array $event) {
        echo "waiting\n";
        while (!file_exists($event['path'])) {
            usleep(5000);
            clearstatcache();
        }
        echo "waited\n";
    },
    'touch' => function (array $event) { touch($event['path']); },
    'numbers' => function (array $event) { echo json_encode($event['numbers']), "\n"; },
    'context' => function (array $event, $context) {
        $known = ['index', 'messageId', 'receiveCount', 'sentAt', 'route', 'queue', 'batchId', 'deadline'];
        $left = $context->secondsLeft();
        echo json_encode([
            ...array_combine($known, array_map(fn ($name) => $context->$name, $known)),
            'attributes' => (object) $context->attributes,
            'system' => $context->message['system'] ?? null,
            'left' => $left === INF ? 'for ever' : $left > 0,
        ]), "\n";
    },
    'log' => function (array $event, $context) {
        foreach (['debug', 'info', 'warning', 'error'] as $level) {
            $context->logger->$level($event['text'], ['shop' => 7, 'message' => 'mine']);
        }
    },
];

return fn (array $event, $context) => $actions[$event['do']]($event, $context);
