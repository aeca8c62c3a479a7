// Servers that are not to be trusted, or not to be understood.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { connect, rootCertificates } from 'node:tls'
import { type TestVcenter, aVcenter, noVcenter } from '../a-vcenter.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { UnknownToServer } from './encode.ts'
import { ServerSilent } from './faults.ts'
import { UntrustedServer } from './transport.ts'

const [anotherAuthority = ''] = rootCertificates

const soap = (body: string) =>
  `<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>${body}</e:Body></e:Envelope>`

describe('who may be spoken to', { skip: noVcenter() }, () => {
  let vcenter: TestVcenter
  before(async () => (vcenter = await aVcenter('-plain', '-api-version', '5.5')))
  after(() => vcenter.stop())
  const open = (change: Partial<ConnectionOptions>) => Connection.open({ ...vcenter, ...change })

  test('a wrong password is tried once', async () => {
    await assert.rejects(open({ password: 'wrong' }), { type: 'InvalidLogin' })
    assert.equal((await vcenter.calls())['Login'], 1)
  })

  test('a server with another certificate is sent nothing, and the sentence names the one it shows', async () => {
    const earlier = await vcenter.calls()
    for (const trust of [{ thumbprint: 'ab'.repeat(32) }, 'system', { authority: anotherAuthority }] as const)
      await assert.rejects(open({ trust }), error => {
        assert.ok(error instanceof UntrustedServer)
        const [shown] = /([0-9A-F]{2}:){31}[0-9A-F]{2}/.exec(error.message) ?? []
        assert.equal(
          shown?.replaceAll(':', '').toLowerCase(),
          vcenter.trust.thumbprint.replaceAll(':', '').toLowerCase(),
        )
        return true
      })
    await assert.rejects(open({ trust: { thumbprint: 'ab' } }), /64 hexadecimal digits/)
    assert.deepEqual(await vcenter.calls(), earlier)
  })

  test('a server is trusted by the authority that vouches for it, and only by the name that it vouches for', async () => {
    const { hostname, port } = new URL(vcenter.url)
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const authority = `-----BEGIN CERTIFICATE-----\n${socket.getPeerCertificate().raw.toString('base64')}\n-----END CERTIFICATE-----`
    socket.destroy()
    await (await open({ trust: { authority } })).close()
    const elsewhere = vcenter.url.replace(hostname, 'localhost')
    await assert.rejects(open({ url: elsewhere, trust: { authority } }), /ALTNAME.*thumbprint/)
  })

  test('nobody there is told as such, and nothing was sent', async () => {
    await assert.rejects(open({ url: 'https://127.0.0.1:1/sdk' }), error => {
      assert.ok(error instanceof ServerSilent && !error.sent)
      return true
    })
  })

  test('an old server is not asked for what it does not know', async () => {
    const connection = await open({})
    assert.equal(connection.version, '5.5')
    const spec = { location: { folder: 'Folder:group-1' as const }, template: false, powerOn: false }
    const call = connection.call('VirtualMachine:vm-1', 'CloneVM_Task', { folder: 'Folder:group-1', name: 'x', spec })
    await assert.rejects(call, UnknownToServer)
    await assert.rejects(call, /location.folder needs vSphere 6.0; this server speaks 5.5/)
    await connection.close()
  })
})

describe('what is not understood', { skip: noVcenter() }, () => {
  let vcenter: TestVcenter
  let connection: Connection
  before(async () => {
    vcenter = await aVcenter('-plain')
    connection = await Connection.open(vcenter)
  })
  after(async () => {
    await connection.close()
    await vcenter.stop()
  })

  const garbage: readonly [what: string, contentType: string, body: Uint8Array, why: RegExp][] = [
    ['a bomb of entities', 'text/xml', Buffer.from(bomb()), /document type/],
    ['UTF-16', 'text/xml; charset=utf-16', Buffer.from(soap('<a/>'), 'utf16le'), /utf-16/i],
    [
      'UTF-16 that is not announced',
      'text/xml',
      Buffer.from(`\ufeff${soap('<a/>')}`, 'utf16le'),
      /not UTF-8|cannot be read/,
    ],
    ['Latin 1', 'text/xml', Buffer.from(soap('<a>\u00e9</a>'), 'latin1'), /not UTF-8/],
    ['a declared Latin 1', 'text/xml', Buffer.from(`<?xml version="1.0" encoding="ISO-8859-1"?><a/>`), /ISO-8859-1/],
    ['elements without end', 'text/xml', Buffer.from('<a>'.repeat(1e5)), /nested more than/],
    ['half an answer', 'text/xml', Buffer.from(soap('<a/>').slice(0, -9)), /cannot be read/],
    ['an unknown entity', 'text/xml', Buffer.from(soap('<a>&lol;</a>')), /entity/],
    ['a page', 'text/html', Buffer.from('<html><body/></html>'), /no SOAP/],
    ['nothing', 'text/xml', Buffer.from(''), /cannot be read/],
  ]
  for (const [what, contentType, body, why] of garbage)
    test(`${what} for an answer is refused, and the session goes on`, async () => {
      await vcenter.trouble({ method: 'DestroyView', act: 'answer', contentType, body })
      await assert.rejects(connection.call('ContainerView:none', 'DestroyView', {}), why)
      assert.match(await connection.call('ServiceInstance:ServiceInstance', 'CurrentTime', {}), /^\d{4}-/)
    })
})

function bomb(): string {
  const steps = Array.from({ length: 20 }, (_, at) => `<!ENTITY e${at + 1} "&e${at};&e${at};">`)
  return `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">${steps.join('')}]><a>&e20;</a>`
}
