<?php

declare(strict_types=1);

namespace Example;

use Psr\Http\Message\ResponseInterface as Response;

/** Renders templates/*.phtml inside templates/layout.phtml; `$this` in a template is the view. */
final class View
{
    /** @param string $base the URL path below which the application lives: '' or '/some/where' */
    public function __construct(private string $base)
    {
    }

    /** The view for a front controller at this SCRIPT_NAME. */
    public static function of(string $scriptName): self
    {
        $directory = rtrim(dirname($scriptName), '/');
        return new self(str_replace('%2F', '/', rawurlencode($directory))); // SCRIPT_NAME is decoded, an URL is not
    }

    /** @param array<string, mixed> $data what the template sees as variables */
    public function page(Response $response, string $template, array $data = []): Response
    {
        $content = $this->render($template, $data);
        $response->getBody()->write($this->render('layout', ['content' => $content] + $data));
        return $response->withHeader('Content-Type', 'text/html; charset=utf-8');
    }

    /** Text as HTML; bytes that are not UTF-8 become U+FFFD. */
    public function text(string $text): string
    {
        return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5, 'UTF-8');
    }

    /** The URL of a page or file of the application, for an attribute. */
    public function url(string $path): string
    {
        return $this->text($this->base . $path);
    }

    private function render(string $template, array $data): string
    {
        extract($data);
        ob_start();
        try {
            require __DIR__ . "/../templates/$template.phtml";
        } finally {
            $html = ob_get_clean();
        }
        return $html;
    }
}
