// docs/errors.md names every problem that the sources can raise, with its kind and number, and no other.
import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { wireCodes } from './errors.ts'

const root = join(import.meta.dirname, '../../..')

/** Where a code is not written out: the helper for images, whose calls are read instead, and two that pass a problem on. */
const passedOn = new Set([
  "new Problem('invalid', code",
  'new Problem(kind, code',
  'new Problem(problem.kind, problem.code',
])

test('docs/errors.md lists exactly the problems of the sources', async () => {
  const raised = new Set<string>()
  for (const source of await sources()) for (const each of raisedIn(source)) raised.add(each)
  const text = await readFile(join(root, 'docs/errors.md'), 'utf8')
  const listed = [...text.matchAll(/^\| `([a-z-]+)` \| ([a-z-]+) \|/gm)].map(([, code, kind]) => `${kind} ${code}`)
  assert.deepEqual(listed.toSorted(), [...raised].toSorted())
})

test('docs/errors.md gives the numbers of the wire', async () => {
  const text = await readFile(join(root, 'docs/errors.md'), 'utf8')
  for (const [kind, { http, cserror }] of Object.entries(wireCodes))
    assert.ok(text.includes(`| ${kind} | ${http} | ${cserror} |`), `the kind ${kind}`)
  for (const [row, kind, http] of text.matchAll(/^\| `[a-z-]+` \| ([a-z-]+) \| (\d+) \|.*$/gm))
    assert.equal(Number(http), wireCodes[kind as keyof typeof wireCodes].http, row)
})

async function sources(): Promise<string[]> {
  const found: string[] = []
  const exclude = (path: string) => path.endsWith('node_modules')
  for await (const file of glob('packages/**/*.ts', { cwd: root, exclude }))
    if (!file.endsWith('.test.ts')) found.push(await readFile(join(root, file), 'utf8'))
  return found
}

/** "kind code" of each problem: made directly, by a subclass, or by the helper for images. */
function raisedIn(source: string): string[] {
  const made = [...source.matchAll(/new Problem\(\s*([^,()]+),\s*([^,()]+)/g)].map(([, kind = '', code = '']) => ({
    kind,
    code,
  }))
  const direct = made.filter(({ kind, code }) => !passedOn.has(`new Problem(${kind}, ${code}`))
  const inherited = /extends Problem\b/.test(source)
    ? [...source.matchAll(/super\(\s*('[a-z-]+'),\s*('[a-z-]+')/g)].map(([, kind = '', code = '']) => ({ kind, code }))
    : []
  const images = [...source.matchAll(/problems\.image\(\s*('[a-z-]+')/g)].map(([, code = '']) => ({
    kind: "'invalid'",
    code,
  }))
  return [...direct, ...inherited, ...images].map(({ kind, code }) => {
    assert.match(
      `${kind} ${code}`,
      /^'[a-z-]+' '[a-z-]+'$/,
      'a kind and a code are written out where a problem is made',
    )
    return `${kind.slice(1, -1)} ${code.slice(1, -1)}`
  })
}
