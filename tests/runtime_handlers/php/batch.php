<?php

/* A handler for the whole batch: the first event says what to return. */

return ['handlerBatch' => function (array $events, $context) {
    echo count($events), ' events, ', count($context->messages), " messages\n";
    if (isset($events[0]['throw'])) {
        throw new RuntimeException($events[0]['throw']);
    }
    return $events[0]['return'] ?? null;
}];
