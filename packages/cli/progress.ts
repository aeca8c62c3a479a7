// How far a job is: one line that changes in place on a terminal, else a line whenever the step does.
import type { Progress } from '@ramet/client/client.ts'

export interface Terminal {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export interface ProgressLine {
  readonly show: (progress: Progress) => void
  readonly clear: () => void
}

const eraseLine = '\r\u001B[K'

export function openProgress(terminal: Terminal): ProgressLine {
  return terminal.isTTY ? inPlace(terminal) : lineByLine(terminal)
}

function inPlace(terminal: Terminal): ProgressLine {
  let isShown = false
  return {
    show({ percent, step }) {
      terminal.write(`${eraseLine}${String(percent).padStart(3)} %  ${step}`)
      isShown = true
    },
    clear() {
      if (isShown) terminal.write(eraseLine)
    },
  }
}

function lineByLine(terminal: Terminal): ProgressLine {
  let last = ''
  return {
    show({ step }) {
      if (step !== last && step !== '') terminal.write(`${step}\n`)
      last = step
    },
    clear() {},
  }
}
