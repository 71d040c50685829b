/** Letters of other scripts that look like Latin ones, in lower case and without accents. */
const LOOKALIKES = new Map(
  Object.entries({
    // Cyrillic and Greek, capitals included: those that pass for Latin in a line of Latin.
    ...{ а: 'a', в: 'b', е: 'e', к: 'k', м: 'm', н: 'h', о: 'o', р: 'p', с: 'c', т: 't', у: 'y', х: 'x' },
    ...{ ѕ: 's', і: 'i', ј: 'j', ԁ: 'd', һ: 'h', ԛ: 'q', ԝ: 'w', ӏ: 'l' },
    ...{ α: 'a', β: 'b', ε: 'e', ζ: 'z', η: 'h', ι: 'i', κ: 'k', μ: 'm', ν: 'v', ο: 'o', ρ: 'p', τ: 't' },
    ...{ υ: 'y', χ: 'x' },
    // Others
    ...{ ı: 'i', ł: 'l', ø: 'o', đ: 'd', ħ: 'h', ŧ: 't', ɡ: 'g', ɑ: 'a', ℓ: 'l', æ: 'ae', œ: 'oe', þ: 'p' },
    ...{ '。': '.', '․': '.', '‐': '-', '–': '-', '—': '-' },
  }),
);

/**
 * Text as it is searched: compatibility forms, case, accents, what is not seen and look-alikes of other scripts make
 * no difference. For comparing with text that was folded as well, and for nothing else.
 */
export function foldForMatch(text: string): string {
  // Plain ASCII, as most of it is.
  if (/^[\x20-\x7e]*$/.test(text)) return text.toLowerCase();
  const folded = strip(strip(text).toLowerCase().toUpperCase().toLowerCase());
  let result = '';
  for (const char of folded) result += LOOKALIKES.get(char) ?? char;
  return result.replace(/\s+/gu, ' ');
}

function strip(text: string): string {
  return text.normalize('NFKD').replace(/[\p{Mn}\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '');
}
