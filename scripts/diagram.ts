import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Graphviz } from '@hpcc-js/wasm-graphviz';
import { createCanvas, GlobalFonts, loadImage } from '@napi-rs/canvas';

const SOURCE = new URL('../docs/architecture.dot', import.meta.url);
const TARGET = new URL('../architecture_diagram.png', import.meta.url);

// Graphviz knows the widths of Open Sans, so the boxes it computes fit the text drawn later.
const LAYOUT_FONT = 'Open Sans';
// A family name no system font has: the same bytes come out whatever fonts a machine holds.
const DRAWN_FONT = 'tenantry-diagram';
const WEIGHTS = [400, 700];

/** Two image pixels per CSS pixel: sharp on a high-density screen at half its width. */
const SCALE = 2;

function registerFonts(): void {
  for (const weight of WEIGHTS) {
    const file = `@fontsource/open-sans/files/open-sans-latin-${weight}-normal.woff2`;
    const path = fileURLToPath(import.meta.resolve(file));
    if (GlobalFonts.registerFromPath(path, DRAWN_FONT) === null) {
      throw new Error(`Cannot read the font ${path}`);
    }
  }
}

async function toPng(svg: string): Promise<Buffer> {
  const image = await loadImage(Buffer.from(svg));
  image.width *= SCALE;
  image.height *= SCALE;
  const canvas = createCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  // The layout's white background ends on a fraction of a pixel; dark pages would show through.
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  return canvas.encode('png');
}

registerFonts();
const graphviz = await Graphviz.load();
const svg = graphviz
  .layout(await readFile(SOURCE, 'utf8'), 'svg', 'neato')
  .replaceAll(`font-family="${LAYOUT_FONT}"`, `font-family="${DRAWN_FONT}"`);
const png = await toPng(svg);
await writeFile(TARGET, png);
console.log(`architecture_diagram.png: ${Math.round(png.length / 1024)} KB`);
