/**
 * Lower case, the same in every locale, with a final sigma as a sigma: the lower case of "ΣΑΣ" is "σας", whose upper
 * case is "ΣΑΣ" again, so telling them apart would make a name differ from itself.
 */
export function caseless(text: string): string {
  return text.toLowerCase().replaceAll('ς', 'σ');
}
