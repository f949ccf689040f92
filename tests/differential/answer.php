<?php
// An answer of each kind that a script gives: the query names which.

$long_ago = 'Wed, 01 Jan 2020 00:00:00 GMT';
switch ($_SERVER['QUERY_STRING']) {
    case 'plain':
        break;
    case 'cookies':
        setcookie('a', '1');
        setcookie('b', '2', ['httponly' => true, 'path' => '/']);
        break;
    case 'repeated':
        header('X-Same: one');
        header('X-Same: two', false);
        header('Link: </a>; rel=preload', false);
        header('Link: </b>; rel=preload', false);
        break;
    case 'location':
        header('Location: /elsewhere?x=1');
        break;
    case 'location-absolute':
        header('Location: https://b.example/');
        break;
    case 'location-301':
        header('Location: /elsewhere', true, 301);
        break;
    case 'location-201':
        header('Location: /made', true, 201);
        break;
    case '204':
        http_response_code(204);
        exit;
    case '304':
        header('ETag: "x"');
        http_response_code(304);
        exit;
    case '404':
        http_response_code(404);
        break;
    case '418':
        http_response_code(418);
        break;
    case '500':
        http_response_code(500);
        break;
    case '503':
        header('Retry-After: 7');
        http_response_code(503);
        break;
    case '401':
        header('WWW-Authenticate: Basic realm="x"');
        http_response_code(401);
        break;
    case 'status-line':
        header('HTTP/1.1 202 As You Wish');
        break;
    case 'validators':
        header('ETag: "x"');
        header("Last-Modified: $long_ago");
        break;
    case 'modified-broken':
        header('Last-Modified: yesterday');
        break;
    case 'length':
        header('Content-Length: 7');
        break;
    case 'length-none':
        header('Content-Length: seven');
        break;
    case 'length-short':
        header('Content-Length: 3');
        break;
    case 'length-long':
        header('Content-Length: 20');
        break;
    case 'cached':
        header('Cache-Control: public, max-age=60');
        header("Expires: $long_ago");
        header('Vary: Cookie');
        break;
    case 'typed':
        header('Content-Type: application/xml');
        break;
    case 'untyped':
        header('Content-Type:');
        break;
    case 'utf8':
        header('X-Utf8: Grüße');
        break;
    case 'empty-field':
        header('X-Empty:');
        break;
    case 'large':
        foreach (range(1, 60) as $number) {
            header("X-Number-$number: " . str_repeat('n', 50));
        }
        break;
    case 'empty':
        exit;
}
echo "answer\n";
