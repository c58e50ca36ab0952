variable "name" {
  description = "Name of the dashboard and prefix of the alarms' names."
  type        = string
}

variable "region" {
  description = "Region of the queues, functions and API."
  type        = string
}

variable "queue_name" {
  description = "Name of the queue of new uploads."
  type        = string
}

variable "dead_letter_queue_name" {
  description = "Name of the queue of uploads that failed for good."
  type        = string
}

variable "cleanup_dead_letter_queue_name" {
  description = "Name of the queue of avatars whose cleanup failed for good."
  type        = string
}

variable "topic_name" {
  description = "Name of the topic of new and removed avatars."
  type        = string
}

variable "queue_age_seconds" {
  description = "Seconds that an upload may wait before an alarm."
  type        = number
  default     = 300
}

variable "failed_percent" {
  description = "Percentage of failed or refused calls, requests or notifications above which an alarm fires."
  type        = number
  default     = 1
}

variable "functions" {
  description = "Functions to watch, and the milliseconds above which 1 % of the calls is too slow."
  type = map(object({
    name    = string
    slow_ms = number
  }))
}

variable "probe_function" {
  description = "Function that fetches what must be there from the CDN, and fails where it is not served."
  type        = object({ name = string, alias = string, arn = string })
}

variable "limiting_functions" {
  description = "Names of the functions that ask how many pictures a user has sent, by their key in `functions`."
  type        = map(string)
  default     = {}
}

variable "reviewing" {
  description = "Where pictures are held or reported: the function that logs how long the oldest waits, the one that asks a verdict function (null for none), and after how many hours an alarm fires; null for none."
  type = object({
    report_function = object({ name = string, alias = string, arn = string })
    judged_function = optional(string)
    oldest_hours    = number
  })
  default = null
}

variable "api_id" {
  description = "Id of the API."
  type        = string
}

variable "distribution_id" {
  description = "Id of the CloudFront distribution."
  type        = string
}

variable "alarm_actions" {
  description = "ARNs of topics in the region that are notified when an alarm fires and when it is OK again."
  type        = list(string)
  default     = []
}
