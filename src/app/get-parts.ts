import { type MultipartField, parseMultipart } from '../http/multipart.ts';
import { bytesOf, type RecognizedString, textOf } from '../serving/recognized-string.ts';

/**
 * The parts of a `multipart/form-data` body, each with its own copy of its data.
 *
 * Undefined when the content type is another or names no boundary, when the body is malformed or cut, and when it has
 * more than 1000 parts, or a part more than 10 header lines or 8 KiB of them. Names are as they were sent: browsers
 * write `"` as `%22`.
 *
 * @param body the whole body, as `res.collectBody()` gives it
 * @param contentType the request's `content-type` header
 */
export function getParts(
  body: RecognizedString,
  contentType: RecognizedString,
): MultipartField[] | undefined {
  return parseMultipart(bytesOf(body), textOf(contentType));
}
