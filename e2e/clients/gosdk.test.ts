// Apache's Go SDK, as it comes: its structs are the strictest readers of our answers. gosdk/main.go is the program.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readAdmin } from '@ramet/client/admin.ts'
import { commands } from '@ramet/server/api/commands/index.ts'
import type { Cloud, Fields } from '../world.ts'
import { openCloud } from './journey.ts'
import { buildGoSdk, say } from './programs.ts'

const gosdk = await buildGoSdk()

/** Those that may be asked without saying more than a filter. */
const lists = commands
  .filter(({ name }) => name.startsWith('list'))
  .filter(({ params }) =>
    Object.entries(params).every(([name, { required }]) => !required || name === 'templatefilter'),
  )
  .map(({ name }) => name)

describe('the Go SDK', { timeout: 120_000, skip: 'missing' in gosdk ? gosdk.missing : false }, () => {
  let cloud: Cloud
  let told: Fields

  before(async () => {
    const opened = await openCloud()
    cloud = opened.cloud
    const { apikey, secretkey } = await readAdmin(cloud.dataDir)
    const { zone, offering } = cloud.world
    const words = [`${cloud.server.url}/client/api`, apikey, secretkey, zone, offering, opened.template, ...lists]
    told = JSON.parse(await say(gosdk, words, {})) as Fields
  })
  after(() => cloud?.close())

  test('deploys, stops, starts, is refused and destroys', () => {
    const { deployed, stopped, started, refused, error } = told
    assert.equal(error, undefined)
    assert.deepEqual(deployed, ['by-go', 'Running', 1, 256, '0'])
    assert.deepEqual([stopped, started], ['Stopped', 'Running'])
    assert.match(String(refused), /by-go is Running/)
  })

  test('reads every list', t => {
    const went = told['lists'] as Record<string, string>
    const failed = Object.entries(went).filter(([, said]) => !/^(\d+|one object)$/.test(said))
    assert.deepEqual(failed, [])
    for (const command of ['listVirtualMachines', 'listTemplates', 'listZones', 'listVolumes', 'listHosts'])
      assert.notEqual(went[command], '0', command)
    t.diagnostic(`${Object.keys(went).length} lists`)
  })
})
