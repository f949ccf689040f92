<?php

declare(strict_types=1);

// What the container holds besides Slim's own: the view, and the pages for what goes wrong.

use Example\View;
use Psr\Container\ContainerInterface;
use Slim\Http\Request;
use Slim\Http\Response;

return function (ContainerInterface $container): void {
    $container['view'] = fn (ContainerInterface $c): View => View::of($c->get('environment')['SCRIPT_NAME']);

    $container['notFoundHandler'] = fn (ContainerInterface $c): callable =>
        fn (Request $request, Response $response): Response => $c->get('view')->page(
            $response->withStatus(404),
            'problem',
            ['title' => 'Not found', 'problem' => 'There is no page at ' . $request->getUri()->getPath()],
        );

    $container['notAllowedHandler'] = fn (ContainerInterface $c): callable =>
        fn (Request $request, Response $response, array $methods): Response => $c->get('view')->page(
            $response->withStatus(405)->withHeader('Allow', implode(', ', $methods)),
            'problem',
            ['title' => 'Method not allowed', 'problem' => 'This page takes ' . implode(' and ', $methods)],
        );

    // Details go to the log only: through FPM's FastCGI stderr stream to the gateway's log.
    $container['errorHandler'] = fn (ContainerInterface $c): callable =>
        function (Request $request, Response $response, Throwable $error) use ($c): Response {
            error_log(sprintf('%s: %s in %s:%d', $error::class, $error->getMessage(), $error->getFile(), $error->getLine()));
            return $c->get('view')->page(
                $response->withStatus(500),
                'problem',
                ['title' => 'Something failed', 'problem' => 'The application failed; its log says why.'],
            );
        };
    $container['phpErrorHandler'] = fn (ContainerInterface $c): callable => $c->get('errorHandler');
};
