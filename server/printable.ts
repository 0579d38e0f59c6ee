/** A guest's or an image's string goes to terminals and into XML: what is not printable ASCII becomes `?`. */
export function printable(text: string): string {
  return text.replace(/[^ -~]/g, '?');
}
