// The long form: every point of every job, also those that leave the same behind as the one before.
import { crashSuite } from './suite.ts'

crashSuite('every point')
