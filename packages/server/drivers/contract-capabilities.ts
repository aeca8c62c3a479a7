// Prints what a driver can do, beside the tests that prove it: a row of the table driver × capability.
import { test } from 'node:test'
import type { Capabilities } from './driver.ts'

export function capabilityRow(name: string, capabilities: () => Capabilities): void {
  test('what it can do is printed', t => {
    for (const [capability, value] of Object.entries(capabilities()))
      t.diagnostic(`${name} × ${capability}: ${value === true ? 'yes' : value === false ? 'no' : String(value)}`)
  })
}
