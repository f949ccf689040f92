<?php
// What PHP sees of a request, as JSON. Bytes that are not UTF-8 come as "hex:…".

function told($value)
{
    if (is_array($value)) {
        return (object) array_map('told', $value);
    }
    $text = (string) $value;
    return preg_match('//u', $text) ? $text : 'hex:' . bin2hex($text);
}

$hash = hash_init('sha256');
$length = hash_update_stream($hash, fopen('php://input', 'rb'));

$files = [];
foreach ($_FILES as $name => $file) {
    $files[$name] = [$file['name'], $file['type'], $file['error'], $file['size'], hash_file('sha256', $file['tmp_name'])];
}

header('Content-Type: application/json');
header('X-Dump: yes');
echo json_encode([
    'script' => __FILE__,
    'server' => told($_SERVER),
    'header' => told(getallheaders()),
    'get' => json_encode(told($_GET)),
    'post' => json_encode(told($_POST)),
    'cookie' => json_encode(told($_COOKIE)),
    'files' => json_encode($files),
    'input' => ['length' => (string) $length, 'sha256' => hash_final($hash)],
]);
