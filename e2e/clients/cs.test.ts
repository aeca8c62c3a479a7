// Python's cs, as it comes: https://github.com/ngine-io/cs.
import { after, before, describe, test } from 'node:test'
import { readAdmin } from '@ramet/client/admin.ts'
import type { Cloud } from '../world.ts'
import { type Ask, journey, openCloud, read, spelt } from './journey.ts'
import { findCs, say } from './programs.ts'

const cs = await findCs()

describe('cs', { timeout: 120_000, skip: 'missing' in cs ? cs.missing : false }, () => {
  let cloud: Cloud
  let template: string
  let ask: Ask

  before(async () => {
    ;({ cloud, template } = await openCloud())
    const { apikey, secretkey } = await readAdmin(cloud.dataDir)
    const settings = {
      CLOUDSTACK_ENDPOINT: `${cloud.server.url}/client/api`,
      CLOUDSTACK_KEY: apikey,
      CLOUDSTACK_SECRET: secretkey,
    }
    ask = async (command, parameters) => {
      const printed = await say(cs, [command, ...spelt(parameters)], settings)
      if (printed.includes('"errorcode"')) throw new Error(printed) // as a module of Python, it fails with exit code 0
      return read(printed)
    }
  })
  after(() => cloud?.close())

  test('lists, deploys, stops, starts, is refused and destroys', () => journey(ask, cloud.world, template, 'by-cs'))
})
