export { type ErrorInfo, toErrorInfo } from './error-info.js';
export { EventEmitter, type EventListener, type ListenerFailure } from './event-emitter.js';
export type {
  AbortReason,
  CancelReason,
  ChildKind,
  ExhaustedBecause,
  WorkEvent,
  WorkEventMap,
  WorkEventType,
} from './work-event-map.js';
