<?php

// What the route `stock` runs, on the runtime for PHP: once for each event.
return function (array $event, $context) {
    echo "order of 50 {$event['sku']}: {$event['left']} are left\n";
};
