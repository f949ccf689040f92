<?php
// The base set in PHP.
switch ($_SERVER['QUERY_STRING']) {
    case 'big':
        echo str_repeat('0123456789abcdef', 65536);
        exit;
    case 'status':
        http_response_code(418);
        header('X-A: 1');
        header('X-A: 2', false);
        echo 'tea';
        exit;
    case 'location':
        header('Location: /elsewhere');
        exit;
    case 'stderr':
        error_log('a note of the application');
        echo 'noted';
        exit;
}
$content = file_get_contents('php://input');
foreach (['REQUEST_METHOD', 'QUERY_STRING', 'PATH_INFO', 'CONTENT_LENGTH', 'HTTP_X_FIELD'] as $name) {
    echo $name, '=', $_SERVER[$name] ?? '', "\n";
}
echo 'content=', strlen($content), ' ', substr($content, 0, 5), "\n";
