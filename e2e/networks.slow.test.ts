// The same as an ordinary user, on the image that this one has built.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { obstacle, passAsOrdinaryUser } from '@ramet/server/drivers/qemu/network/an-ordinary-user.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'

test('two networks with the same addresses, without root', { skip: obstacle() ?? false }, async t => {
  await buildTiny({ directory: imageCache() })
  const cache = mkdtempSync(join(tmpdir(), 'ramet-cache-'))
  const own = process.env['RAMET_CACHE']
  t.after(() => {
    if (own === undefined) delete process.env['RAMET_CACHE']
    else process.env['RAMET_CACHE'] = own
    rmSync(cache, { recursive: true, force: true })
  })
  await chmod(cache, 0o755)
  cpSync(imageCache(), join(cache, 'images'), { recursive: true })
  process.env['RAMET_CACHE'] = cache
  passAsOrdinaryUser([join(import.meta.dirname, 'networks.test.ts')])
})
