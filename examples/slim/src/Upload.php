<?php

declare(strict_types=1);

namespace Example;

use Slim\Http\UploadedFile;

/** One uploaded file in the words of the upload page. */
final class Upload
{
    /**
     * What to show for the field `file` of a form.
     *
     * @param mixed $file an UploadedFile, or what else a client made of the field
     * @return array<string, mixed> either `error`, or `filename`, `size` (bytes) and `sha256` (hexadecimal)
     */
    public static function describe(mixed $file): array
    {
        if (!$file instanceof UploadedFile) {
            // PHP runs the script with an empty form when the body is larger than this limit.
            return ['error' => 'No file came with the form, or the form is larger than post_max_size ('
                . ini_get('post_max_size') . ').'];
        }
        if ($file->getError() !== UPLOAD_ERR_OK) {
            return ['error' => self::reason($file->getError())];
        }
        return [
            'filename' => (string) $file->getClientFilename(),
            'size' => $file->getSize(),
            'sha256' => hash_file('sha256', $file->file), // reads in pieces, whatever the size
        ];
    }

    private static function reason(int $error): string
    {
        return match ($error) {
            UPLOAD_ERR_INI_SIZE => 'The file is larger than upload_max_filesize (' . ini_get('upload_max_filesize') . ').',
            UPLOAD_ERR_FORM_SIZE => 'The file is larger than the form allows.',
            UPLOAD_ERR_PARTIAL => 'Only a part of the file arrived.',
            UPLOAD_ERR_NO_FILE => 'No file was chosen.',
            UPLOAD_ERR_NO_TMP_DIR => 'PHP has no directory for uploads.',
            UPLOAD_ERR_CANT_WRITE => 'PHP could not write the file to its directory for uploads.',
            UPLOAD_ERR_EXTENSION => 'A PHP extension stopped the upload.',
            default => "The upload failed with PHP's error $error.",
        };
    }
}
