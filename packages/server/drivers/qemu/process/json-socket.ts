// A unix socket on which JSON objects come one per line: what QMP and the guest agent have in common. The other side is
// a process that a hostile guest may have taken over, so lines are bounded and what is no JSON is dropped.
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export type Message = Readonly<Record<string, unknown>>

const longestLine = 8 * 2 ** 20

export interface JsonSocket {
  send(text: string): void
  close(): void
  /** Fulfils when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>
}

/** At a path, or over a connection that is there. */
export async function openJsonSocket(at: string | Duplex, onMessage: (message: Message) => void): Promise<JsonSocket> {
  const socket = typeof at === 'string' ? await connected(at) : at
  let rest = ''
  socket.setEncoding('latin1') // decoded by line, so that a character is never cut in two
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longestLine) socket.destroy()
    for (const line of lines) {
      const message = parse(line)
      if (message) onMessage(message)
    }
  })
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  socket.on('error', () => socket.destroy()) // 'close' follows and tells everybody
  return {
    closed,
    send: text => void (socket.writable && socket.write(Buffer.from(text, 'latin1'))),
    close: () => void socket.destroy(),
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/** The guest agent marks the reply to a delimited sync with a byte 0xFF before it. */
function parse(line: string): Message | null {
  const text = line.slice(line.lastIndexOf('\xff') + 1).trim()
  if (!text.startsWith('{')) return null
  try {
    return asMessage(JSON.parse(Buffer.from(text, 'latin1').toString('utf8')))
  } catch {
    return null
  }
}

/** What JSON holds, for reading field by field; nothing where it is no object. */
export function asMessage(value: unknown): Message {
  return value !== null && typeof value === 'object' ? Object.fromEntries(Object.entries(value)) : {}
}
