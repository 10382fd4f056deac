import { createMemoryStore } from '../../src/stores/memory.ts'
import { describeSessionStore } from './session-store.ts'

describeSessionStore('memory', createMemoryStore)
