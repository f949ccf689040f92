<?php
// A Slim application that logs its users in by a cookie, and verifies requests for the gateway.
require 'Slim/autoload.php';

const SHOWN = [
    'REQUEST_METHOD', 'REQUEST_URI', 'CONTENT_LENGTH', 'CONTENT_TYPE', 'HTTP_HOST', 'HTTP_RANGE', 'HTTP_IF_NONE_MATCH', 'HTTP_EXPECT',
    'HTTP_REMOTE_USER', 'HTTP_X_OTHER', 'HTTP_X_FORWARDED_METHOD', 'HTTP_X_FORWARDED_URI', 'HTTP_X_FORWARDED_PROTO',
    'HTTP_X_FORWARDED_HOST', 'HTTP_X_FORWARDED_FOR',
];

$app = new Slim\App();

$app->get('/auth/verify', function ($request, $response) {
    file_put_contents(__DIR__ . '/asked', 'x', FILE_APPEND);
    $login = $request->getCookieParam('login', '');
    switch ($login) {
        case '':
            return $response->withStatus(401)->withHeader('WWW-Authenticate', 'Session')
                ->withHeader('Set-Cookie', 'visit=1')->write('Who is there?');
        case 'expired':
            return $response->withStatus(302)->withHeader('Location', '/login?to=in')
                ->withAddedHeader('Set-Cookie', 'login=; Max-Age=0')->withAddedHeader('Set-Cookie', 'to=in');
        case 'guest':
            return $response->withStatus(403)->write('Not for guests');
        case 'anonymous':
            return $response->withStatus(204);
        case 'broken':
            return $response->withStatus(500)->withHeader('Remote-User', 'forged');
        case 'missing':
            return $response->withStatus(404);
        case 'unchanged':
            return $response->withStatus(304);
        case 'large':
            return $response->withStatus(401)->write(str_repeat('x', 300000));
        case 'slow':
            sleep(600);
            return $response;
        case 'cut':
            header('Content-Length: 100');
            header('Remote-User: forged');
            echo 'x';
            exit;
    }
    $seen = [];
    foreach (SHOWN as $name) {
        $seen[$name] = $_SERVER[$name] ?? null;
    }
    return $response->withHeader('Remote-User', $login)->withHeader('Seen', json_encode($seen))
        ->withHeader('Set-Cookie', 'refreshed=1')->write('ignored');
});

$app->any('/{path:.*}', function ($request, $response) {
    $answer = ['length' => strlen(file_get_contents('php://input')), 'server' => $_SERVER];
    return $response->withJson($answer)->withHeader('X-Seen', $_SERVER['HTTP_SEEN'] ?? '');
});

$app->run();
