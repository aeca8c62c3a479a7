// What stands between an operator and a cluster: address, certificate, password, the age of the server, the state of a host.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { type TestVcenter, aVcenter, noVcenter } from './a-vcenter.ts'
import { AtMost } from './at-most.ts'
import { vsphereOpener } from './opener.ts'

describe('a cluster of vSphere is opened', { skip: noVcenter() }, () => {
  let server: TestVcenter
  before(async () => (server = await aVcenter('-machines', '1')))
  after(() => server.stop())

  const given = (cluster: string) => ({
    url: server.url.replace('/sdk', cluster),
    username: server.username,
    password: server.password,
    thumbprint: server.trust.thumbprint,
  })

  test('by its address, over TLS, with the certificate that is trusted', async () => {
    const driver = await vsphereOpener.open(given('/DC0/DC0_C0'))
    assert.equal((await driver.forest.inventory()).hosts.length, 3)
    await driver.close()
  })

  test('and what stands in the way is said', async () => {
    const open = (change: object, cluster = '/DC0/DC0_C0') => vsphereOpener.open({ ...given(cluster), ...change })
    await assert.rejects(open({ url: 'http://127.0.0.1/DC0/C0' }), { kind: 'invalid', code: 'vsphere-bad-url' })
    await assert.rejects(open({}, '/'), { kind: 'invalid', code: 'vsphere-bad-url' })
    const missing = { kind: 'invalid', code: 'vsphere-no-cluster', message: /DC0\/DC0_C0/ }
    await assert.rejects(open({}, '/DC0/C9'), missing)
    await assert.rejects(open({ thumbprint: null }), { kind: 'refused', code: 'vsphere-untrusted' })
    await assert.rejects(open({ thumbprint: '0'.repeat(64) }), { kind: 'refused', code: 'vsphere-untrusted' })
    const logins = (await server.calls())['Login'] ?? 0
    await assert.rejects(open({ password: 'wrong' }), { kind: 'refused', code: 'vsphere-login' })
    assert.equal((await server.calls())['Login'], logins + 1)
  })

  test('an old server makes no instant clones, and says so', async () => {
    await server.restart('-machines', '1', '-api-version', '6.5')
    const driver = await vsphereOpener.open(given('/DC0/DC0_C0'))
    assert.equal(driver.capabilities.instantClone, false)
    await assert.rejects(driver.hosts.facts({ id: newId<'host'>(), name: 'gone' }), { code: 'host-silent' })
    await driver.close()
  })
})

test('no more is under way at once than is allowed, and all is done', async () => {
  const turns = new AtMost(3)
  let [now, most, done] = [0, 0, 0]
  const act = async () => {
    most = Math.max(most, ++now)
    await new Promise(resolve => setImmediate(resolve))
    now--
    done++
    if (done % 5 === 0) throw new Error('failed')
  }
  await Promise.allSettled(Array.from({ length: 20 }, () => turns.take(act)))
  assert.deepEqual([most, now, done], [3, 0, 20])
})
