/** What the cards and the settings page share. HubSpot builds each of them by itself, so nothing may be imported
 * from a parent folder: this is a workspace package. */
export { connection } from './connection';
export type { Connection, Failure, Outcome, Variables } from './connection';
export { FailureNotice } from './FailureNotice';
export { RecordCard } from './RecordCard';
export type { RecordCardProps } from './RecordCard';
export { SettingsView } from './SettingsView';
export type { SettingsViewProps } from './SettingsView';
export { textsFor } from './messages';
export type { Texts } from './messages';
export type { OpenAnswer, Settings, Summary } from './contract';
