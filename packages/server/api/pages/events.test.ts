import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventText } from './events.ts'

test('a change is one event of its own number, without the account it belongs to', () => {
  const change = { table: 'vm', op: 'update', id: 'v', state: 'Running', account: 'a' } as const
  assert.equal(
    eventText(7, change),
    'id: 7\nevent: change\ndata: {"table":"vm","op":"update","id":"v","state":"Running"}\n\n',
  )
})
