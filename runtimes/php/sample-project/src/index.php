<?php

return function (array $event, $context) {
    echo 'message ' . ($context->messageId ?? '(none)') . ': ' . json_encode($event) . "\n";
};
