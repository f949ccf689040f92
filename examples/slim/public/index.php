<?php

declare(strict_types=1);

// The front controller: the gateway sends every request here that is not a file in this directory.

require 'Slim/autoload.php'; // Debian's php-slim, found through PHP's include_path
require __DIR__ . '/../src/View.php';
require __DIR__ . '/../src/Upload.php';

$app = new Slim\App();
(require __DIR__ . '/../src/services.php')($app->getContainer());
(require __DIR__ . '/../src/routes.php')($app);
$app->run();
