import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isPublic, lookupPublic } from './addresses.ts'
import { openDownload } from './download.ts'
import { copyImage, discardImage, fetchImage } from './fetch.ts'

const image = Buffer.concat([Buffer.from('QFI\xfb'), Buffer.alloc(300_000), Buffer.alloc(300_000, 7)])
const md5 = createHash('md5').update(image).digest('hex')
const sha256 = createHash('sha256').update(image).digest('hex')
const open = { maxBytes: 2 ** 20, allowPrivate: true }
const never = new AbortController().signal

async function aFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-fetch-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** The URL of a server on this machine that answers as `listener` says. */
async function aServer(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${portOf(server)}`
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

async function aTarget(t: TestContext) {
  const folder = await aFolder(t)
  const file = join(folder, 'template', 'image')
  const left = () => readdir(join(folder, 'template')).catch(() => [])
  return { file, left }
}

test('a download has the right bytes and mode, tells its progress, and may be repeated', async t => {
  const url = await aServer(t, (_, response) => response.setHeader('content-length', image.length).end(image))
  const { file, left } = await aTarget(t)
  const percents: number[] = []
  for (const checksum of [`{SHA-256}${sha256}`, md5.toUpperCase(), null]) {
    await fetchImage(`${url}/image`, file, checksum, open, percent => percents.push(percent), never)
    assert.ok((await readFile(file)).equals(image))
  }
  assert.equal(percents.at(-1), 100)
  assert.equal((await stat(file)).mode & 0o777, 0o644)
  assert.equal((await stat(join(file, '..'))).mode & 0o777, 0o711)
  assert.deepEqual(await left(), ['image'])
})

test('two downloads to one file at once do not disturb each other', async t => {
  const url = await aServer(t, (_, response) => {
    response.write(image.subarray(0, 300_000))
    setTimeout(() => response.end(image.subarray(300_000)), 50)
  })
  const { file, left } = await aTarget(t)
  const fetched = () => fetchImage(url, file, `{SHA-256}${sha256}`, open, () => {}, never)
  await Promise.all([fetched(), fetched()])
  assert.ok((await readFile(file)).equals(image))
  assert.deepEqual(await left(), ['image'])
})

test('a download that fails leaves the file that was there, and one that works removes what a crash left', async t => {
  const url = await aServer(t, (_, response) => response.end(image))
  const { file, left } = await aTarget(t)
  await fetchImage(url, file, null, open, () => {}, never)
  const wrong = `{SHA-256}${'0'.repeat(64)}`
  await assert.rejects(
    fetchImage(url, file, wrong, open, () => {}, never),
    { code: 'checksum-mismatch' },
  )
  assert.deepEqual(await left(), ['image'])
  await writeFile(`${file}.1234.part`, 'half')
  await fetchImage(url, file, null, open, () => {}, never)
  assert.deepEqual(await left(), ['image'])
  await writeFile(`${file}.1234.part`, 'half')
  await discardImage(file)
  assert.deepEqual(await left(), [])
})

test('zeros take no room on the disk', async t => {
  const url = await aServer(t, (_, response) => response.end(Buffer.alloc(900_000)))
  const { file } = await aTarget(t)
  await fetchImage(url, file, null, open, () => {}, never)
  const { size, blocks } = await stat(file)
  assert.equal(size, 900_000)
  assert.ok(blocks * 512 < 100_000)
})

const refusals: Record<string, { answer: RequestListener; checksum?: string; code: string }> = {
  'a wrong checksum': {
    answer: (_, r) => r.end(image),
    checksum: `{SHA-256}${'0'.repeat(64)}`,
    code: 'checksum-mismatch',
  },
  'a checksum of the wrong length': { answer: (_, r) => r.end(image), checksum: 'abc', code: 'checksum-malformed' },
  'an image that says it is too large': {
    answer: (_, r) => r.setHeader('content-length', 2 ** 21).flushHeaders(),
    code: 'download-too-large',
  },
  'an endless image that says nothing': {
    answer: (_, r) => {
      const more = () => void (r.destroyed || r.write(Buffer.alloc(2 ** 18, 1), () => setImmediate(more)))
      more()
    },
    code: 'download-too-large',
  },
  'an image that ends early': {
    answer: (_, r) => void r.setHeader('content-length', 5000).write('begin', () => r.destroy()),
    code: 'download-failed',
  },
  'an error page': { answer: (_, r) => r.writeHead(404).end('no'), code: 'download-failed' },
  'a redirect in a circle': {
    answer: (_, r) => r.writeHead(302, { location: '/again' }).end(),
    code: 'download-failed',
  },
  'a redirect to a file': {
    answer: (_, r) => r.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    code: 'url-not-supported',
  },
}

for (const [name, { answer, checksum, code }] of Object.entries(refusals)) {
  test(`${name} is refused as ${code} and leaves no file`, async t => {
    const url = await aServer(t, answer)
    const { file, left } = await aTarget(t)
    await assert.rejects(
      fetchImage(url, file, checksum ?? null, open, () => {}, never),
      { code, kind: 'invalid' },
    )
    assert.deepEqual(await left(), [])
  })
}

for (const url of ['ftp://example.org/a', 'file:///etc/passwd', 'no url', 'http://me:secret@example.org/a']) {
  test(`the URL ${url} is refused`, async t => {
    const { file } = await aTarget(t)
    await assert.rejects(
      fetchImage(url, file, null, open, () => {}, never),
      { code: 'url-not-supported' },
    )
  })
}

test('an address of this machine is refused in every spelling', async t => {
  const url = new URL(await aServer(t, (_, response) => response.end(image)))
  const { file } = await aTarget(t)
  for (const host of [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::]',
    '0.0.0.0',
  ]) {
    const limits = { ...open, allowPrivate: false }
    const fetched = fetchImage(`http://${host}:${url.port}/`, file, null, limits, () => {}, never)
    await assert.rejects(fetched, { code: 'address-not-allowed' }, host)
  }
})

test('public addresses are told from private and special ones', () => {
  const special =
    '10.1.2.3 172.31.0.1 192.168.1.1 169.254.169.254 100.64.0.1 224.0.0.1 255.255.255.255 ::1 fe80::1 fd00::1 ff02::1'
  for (const address of special.split(' ')) assert.equal(isPublic(address), false, address)
  for (const address of ['::ffff:8.8.8.8', '64:ff9b::7f00:1', '2002:7f00:1::', 'a name'])
    assert.equal(isPublic(address), false, address)
  for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111']) assert.equal(isPublic(address), true, address)
})

test('the lookup of a connection refuses a name of this machine', async () => {
  const error = await new Promise(resolve => lookupPublic('localhost', { all: true }, resolve))
  assert.match(String(error), /private or special network/)
})

test('a server that falls silent is given up on, before its answer and in the middle of it', async t => {
  const url = await aServer(t, (request, response) => void (request.url === '/middle' && response.write('begin')))
  const rules = { allowPrivate: true, idleMs: 100 }
  await assert.rejects(openDownload(url, rules, never), /sent nothing for 0.1 s/)
  const response = await openDownload(`${url}/middle`, rules, never)
  await assert.rejects(response.toArray(), /sent nothing|aborted/)
})

test('a download that drips without end is given up on', async t => {
  const url = await aServer(t, (_, response) => {
    const drip = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(drip))
  })
  const { file, left } = await aTarget(t)
  await assert.rejects(
    fetchImage(url, file, null, { ...open, totalMs: 200 }, () => {}, never),
    {
      code: 'download-failed',
      message: /did not arrive whole within 0.2 s/,
    },
  )
  assert.deepEqual(await left(), [])
})

test('a download that is called off stops with the reason that was given', async t => {
  const url = await aServer(t, (_, response) => void response.write('begin'))
  const { file, left } = await aTarget(t)
  const stop = new AbortController()
  const fetched = fetchImage(url, file, null, open, () => {}, stop.signal)
  setTimeout(() => stop.abort(new Error('called off')), 50)
  await assert.rejects(fetched, /called off/)
  assert.deepEqual(await left(), [])
})

const notRoot = process.getuid?.() !== 0 && 'only root can mount a small file system'

test('a full disk is told as a full store', { skip: notRoot }, async t => {
  const url = await aServer(t, (_, response) => response.end(image))
  const folder = await aFolder(t)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
  try {
    const fetched = fetchImage(url, join(folder, 'image'), null, open, () => {}, never)
    await assert.rejects(fetched, { kind: 'no-capacity', code: 'store-full' })
    assert.deepEqual(await readdir(folder), [])
  } finally {
    execFileSync('umount', [folder])
  }
})

test('a file of this machine is copied, and may be copied again', async t => {
  const folder = await aFolder(t)
  await writeFile(join(folder, 'source'), image, { mode: 0o600 })
  const { file, left } = await aTarget(t)
  for (const checksum of [`{SHA-256}${sha256}`, null]) {
    await copyImage(`file://${folder}/source`, file, checksum, open, never)
    assert.ok((await readFile(file)).equals(image))
    assert.equal((await stat(file)).mode & 0o777, 0o644)
  }
  assert.deepEqual(await left(), ['image'])
  await discardImage(file)
  await discardImage(file)
  assert.deepEqual(await left(), [])
})

test('what is no regular file, too large or not what was promised is not copied', async t => {
  const folder = await aFolder(t)
  await writeFile(join(folder, 'source'), image)
  await symlink(join(folder, 'source'), join(folder, 'link'))
  const { file, left } = await aTarget(t)
  const copy = (url: string, checksum: string | null = null, maxBytes = 2 ** 20) =>
    copyImage(url, file, checksum, { ...open, maxBytes }, never)
  for (const path of [`${folder}/link`, `${folder}/none`, folder, '/dev/zero']) {
    await assert.rejects(copy(`file://${path}`), { code: 'no-such-file' })
  }
  await assert.rejects(copy('file://elsewhere/image'), { code: 'url-not-supported' })
  await assert.rejects(copy(`file://${folder}/source`, null, 1000), { code: 'download-too-large' })
  await assert.rejects(copy(`file://${folder}/source`, `{MD5}${'0'.repeat(32)}`), { code: 'checksum-mismatch' })
  assert.deepEqual(await left(), [])
})

test('an image whose folder never was is discarded without complaint', async t => {
  await discardImage(join(await aFolder(t), 'never', 'was'))
})
