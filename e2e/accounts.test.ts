// Accounts as their people meet them: made by an administrator, used by keys and by login, limited, closed, and deleted with
// all they own. Disks are blank and machines stay off.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { type Client, createClient } from '@ramet/client/client.ts'
import { Cloud, type Fields, list } from './world.ts'

const run = promisify(execFile)

interface Person {
  readonly client: Client
  readonly account: string
  readonly user: string
  readonly name: string
  readonly domain: string
}

describe('an account', { timeout: 300_000 }, () => {
  let cloud: Cloud
  let image: string
  let domain: string
  let ann: Person
  let ben: Person

  before(async () => {
    cloud = await Cloud.open()
    image = join(cloud.folder, 'blank.qcow2')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '16M'])
    const made = await admin().call('createDomain', { name: 'training' })
    domain = (made['domain'] as Fields)['id'] as string
    ann = await person('ann')
    ben = await person('ben')
  })
  after(() => cloud?.close())

  const admin = () => cloud.world.client
  const url = () => cloud.server.url

  /** An account with a user and keys, made as an administrator makes them. */
  async function person(name: string): Promise<Person> {
    const facts = {
      username: name,
      password: `of ${name}`,
      email: `${name}@localhost`,
      firstname: name,
      lastname: 'Test',
    }
    const made = (await admin().call('createAccount', { ...facts, accounttype: 0, domainid: domain }))[
      'account'
    ] as Fields
    const user = (made['user'] as Fields[])[0]?.['id'] as string
    const keys = (await admin().call('registerUserKeys', { id: user }))['userkeys'] as Record<string, string>
    const client = createClient({ url: url(), apikey: keys['apikey'] ?? '', secretkey: keys['secretkey'] ?? '' })
    return { client, user, name, domain, account: made['id'] as string }
  }

  const template = async () => (await cloud.world.registerTemplate(image, { name: 'blank', passwordenabled: false })).id
  const deploy = ({ client }: Person, templateid: string, name: string) =>
    client.run('deployVirtualMachine', {
      zoneid: cloud.world.zone,
      serviceofferingid: cloud.world.offering,
      templateid,
      name,
      startvm: false,
    })

  async function login(
    name: string,
    password = `of ${name}`,
  ): Promise<{ status: number; cookie: string; key: string }> {
    const form = new URLSearchParams({
      command: 'login',
      username: name,
      password,
      domain: '/training',
      response: 'json',
    })
    const response = await fetch(`${url()}/client/api`, { method: 'POST', body: form })
    const body = (await response.json()) as { loginresponse: Record<string, string> }
    const cookie = response.headers.getSetCookie().map(each => each.split(';')[0])
    return { status: response.status, cookie: cookie.join('; '), key: body.loginresponse['sessionkey'] ?? '' }
  }

  async function statusOf({ cookie, key }: { cookie: string; key: string }): Promise<number> {
    const query = new URLSearchParams({ command: 'listZones', response: 'json', sessionkey: key })
    return (await fetch(`${url()}/client/api?${query.toString()}`, { headers: { cookie } })).status
  }

  test('has no more than it may have, and says so before anything is made', async () => {
    const from = await template()
    const limit = { account: 'ann', domainid: domain, resourcetype: 0, max: 1 }
    await admin().call('updateResourceLimit', limit)
    await deploy(ann, from, 'one')
    await assert.rejects(deploy(ann, from, 'two'), {
      errorcode: 532,
      message: /Account ann has 1 of at most 1 virtual/,
    })
    await deploy(ben, from, 'two')
    await admin().call('updateResourceLimit', { domainid: domain, resourcetype: 0, max: 2 })
    await admin().call('updateResourceLimit', { ...limit, max: 5 })
    await assert.rejects(deploy(ann, from, 'two'), { errorcode: 532, message: /Domain \/training has 2 of at most 2/ })
    const [seen] = await list(ann.client, 'listAccounts', 'account')
    assert.deepEqual([seen?.['vmlimit'], seen?.['vmtotal'], seen?.['vmavailable']], ['5', 1, '4'])
    await admin().call('updateResourceLimit', { domainid: domain, resourcetype: 0, max: -1 })
  })

  test('sees and touches only its own', async () => {
    const [mine] = await list(ann.client, 'listVirtualMachines', 'virtualmachine', { listall: true })
    const [theirs] = await list(ben.client, 'listVirtualMachines', 'virtualmachine', { listall: true })
    assert.deepEqual([mine?.['account'], theirs?.['account']], ['ann', 'ben'])
    const id = theirs?.['id'] as string
    await assert.rejects(ann.client.call('startVirtualMachine', { id }), { errorcode: 531 })
    await assert.rejects(ann.client.call('createAccount', {}), { errorcode: 401, message: /not available for user/ })
    const tag = {
      resourcetype: 'userVm',
      resourceids: mine?.['id'] as string,
      'tags[0].key': 'use',
      'tags[0].value': 'lab',
    }
    await ann.client.run('createTags', tag)
    const filter = { listall: true, 'tags[0].key': 'use', 'tags[0].value': 'lab' }
    const tagged = await list(admin(), 'listVirtualMachines', 'virtualmachine', filter)
    assert.deepEqual(
      tagged.map(vm => vm['id']),
      [mine?.['id']],
    )
  })

  test('is shut out when it or its user is disabled, sessions included, and let in again', async () => {
    const session = await login('ben')
    assert.deepEqual([session.status, await statusOf(session)], [200, 200])
    await admin().call('disableUser', { id: ben.user })
    assert.equal(await statusOf(session), 401)
    assert.equal((await login('ben')).status, 531)
    await assert.rejects(ben.client.call('listZones'), { errorcode: 401 })
    await admin().call('enableUser', { id: ben.user })
    const again = await login('ben')
    assert.equal(await statusOf(again), 200)
    await admin().run('disableAccount', { id: ben.account, lock: false })
    assert.equal(await statusOf(again), 401)
    await assert.rejects(ben.client.call('listZones'), { errorcode: 401 })
    await admin().call('enableAccount', { id: ben.account })
    await ben.client.call('listZones')
  })

  test('changes its password itself, knowing the old one; guessing is slowed down', async () => {
    const change = { id: ann.user, password: 'another' }
    await assert.rejects(ann.client.call('updateUser', change), { errorcode: 431, message: /currentpassword/ })
    await assert.rejects(ann.client.call('updateUser', { ...change, currentpassword: 'no' }), { errorcode: 531 })
    await ann.client.call('updateUser', { ...change, currentpassword: 'of ann' })
    assert.equal((await login('ann', 'another')).status, 200)
    for (let i = 0; i < 10; i++) assert.equal((await login('ann')).status, 531)
    assert.equal((await login('ann', 'another')).status, 531)
    assert.equal((await login('ben')).status, 200)
  })

  test('goes with all it owns, and its name is free again; the domain goes with what is in it', async () => {
    const files = await cloud.layerFiles()
    await admin().run('deleteAccount', { id: ann.account })
    await assert.rejects(ann.client.call('listZones'), { errorcode: 401 })
    const left = await list(admin(), 'listVirtualMachines', 'virtualmachine', { listall: true })
    assert.deepEqual(
      left.map(vm => vm['account']),
      ['ben'],
    )
    assert.equal((await cloud.layerFiles()).length, files.length - 1)
    assert.deepEqual(await list(admin(), 'listAccounts', 'account', { id: ann.account }), [])
    await person('ann')
    await assert.rejects(admin().run('deleteDomain', { id: domain }), { errorcode: 536, message: /2 accounts/ })
    await admin().run('deleteDomain', { id: domain, cleanup: true })
    assert.deepEqual(await list(admin(), 'listDomains', 'domain', { id: domain }), [])
    assert.deepEqual(await list(admin(), 'listVirtualMachines', 'virtualmachine', { listall: true }), [])
    assert.deepEqual(await readdir(join(cloud.dataDir, 'vms')), [])
  })
})
