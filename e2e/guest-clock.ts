// How far a guest's clock is from the host's, by SSH. The guest reads its clock somewhere between question and answer, so the
// quickest of several answers in one session tells most.
import { createInterface } from 'node:readline'
import { type KeyPair, openSession } from './ssh.ts'

export interface ClockError {
  /** The guest's time less the host's. */
  readonly ms: number
  /** It is wrong by at most this much. */
  readonly doubtMs: number
}

const questions = 8
/** busybox's date has no fractions. */
const answering = "while read -r ask; do busybox adjtimex | grep tv_ | tr -dc '0-9\\n' | tr '\\n' ' '; echo; done"

export async function clockError(address: string, key: KeyPair): Promise<ClockError> {
  const session = openSession(address, key, answering)
  const lines = createInterface({ input: session.stdout })[Symbol.asyncIterator]()
  try {
    let best: ClockError | null = null
    for (let asked = 0; asked < questions; asked += 1) {
      const begin = Date.now()
      session.stdin.write('?\n')
      const { value, done } = await lines.next()
      const end = Date.now()
      if (done) throw new Error('the guest does not tell its time')
      const [seconds = Number.NaN, micros = Number.NaN] = value.trim().split(' ').map(Number)
      const found = { ms: seconds * 1000 + micros / 1000 - (begin + end) / 2, doubtMs: (end - begin) / 2 }
      if (!best || found.doubtMs < best.doubtMs) best = found
    }
    return best as ClockError
  } finally {
    session.stdin.end()
    session.kill()
  }
}
