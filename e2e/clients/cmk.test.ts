// CloudMonkey, as it comes: https://github.com/apache/cloudstack-cloudmonkey. It knows only the commands that `sync` found.
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Admin, readAdmin } from '@ramet/client/admin.ts'
import { commands } from '@ramet/server/api/commands/index.ts'
import type { Cloud, Fields } from '../world.ts'
import { type Ask, journey, openCloud, read, spelt } from './journey.ts'
import { findCmk, say } from './programs.ts'

const cmk = await findCmk()

describe('cmk', { timeout: 180_000, skip: 'missing' in cmk ? cmk.missing : false }, () => {
  let cloud: Cloud
  let template: string
  let admin: Admin

  before(async () => {
    ;({ cloud, template } = await openCloud())
    admin = await readAdmin(cloud.dataDir)
  })
  after(() => cloud?.close())

  /** Its configuration is in the home directory, so each user of it has one. */
  async function user(name: string): Promise<Tell> {
    const HOME = join(cloud.folder, name)
    await mkdir(HOME)
    return (...words) => say(cmk, words, { HOME })
  }

  async function configured(name: string, settings: Fields): Promise<Tell> {
    const tell = await user(name)
    await tell('set', 'url', `${cloud.server.url}/client/api`)
    await tell('set', 'output', 'json')
    for (const [setting, value] of Object.entries(settings)) await tell('set', setting, String(value))
    return tell
  }

  test('learns every command by its sync', async () => {
    const tell = await configured('syncs', { apikey: admin.apikey, secretkey: admin.secretkey })
    const [, count] = /Discovered (\d+) APIs/.exec(await tell('sync')) ?? []
    assert.ok(Number(count) >= commands.length, `${count} of ${commands.length}`)
    const helps = await Promise.all(commands.map(({ name }) => tell(name, '-h')))
    for (const [index, help] of helps.entries()) assert.match(help, new RegExp(`${commands[index]?.name}.*: `))
  })

  test('lists, deploys, stops, starts, is refused and destroys, by keys and by name and password', async () => {
    const { username, password, apikey, secretkey } = admin
    const ways = { 'by-keys': { apikey, secretkey }, 'by-password': { username, password, domain: '/' } }
    const journeys = Object.entries(ways).map(async ([name, settings]) => {
      const tell = await configured(name, settings)
      await tell('sync')
      await journey(asker(tell), cloud.world, template, name)
    })
    await Promise.all(journeys)
  })

  test('shows the fields that its user wants, as words or as a table', async () => {
    const tell = await configured('fields', { apikey: admin.apikey, secretkey: admin.secretkey })
    await tell('sync')
    assert.deepEqual(JSON.parse(await tell('list', 'zones', 'filter=name')), {
      count: 1,
      zone: [{ name: 'zone1' }],
    })
    await tell('set', 'output', 'table')
    assert.match(await tell('list', 'serviceofferings', 'filter=name,memory'), /\| Tiny Instance +\| +256 \|/)
  })

  test('is refused with a wrong password', async () => {
    const tell = await configured('stranger', { username: admin.username, password: 'wrong', domain: '/' })
    await assert.rejects(tell('sync'), /failed to authenticate/)
  })
})

type Tell = (...words: string[]) => Promise<string>

function asker(tell: Tell): Ask {
  return async (command, parameters) => read(await tell(command, ...spelt(parameters)))
}
