variable "name" {
  description = "Prefix of the queues' and the topic's names."
  type        = string
}

variable "uploads_bucket" {
  description = "Bucket whose new objects are put on the queue."
  type = object({
    name = string
    arn  = string
  })
}

variable "assets_bucket" {
  description = "Bucket whose new and removed avatars are published to the topic."
  type = object({
    name = string
    arn  = string
  })
}

variable "resize_function_arn" {
  description = "ARN of the function that consumes the queue."
  type        = string
}

# Apart from the function itself, whose role names the queue.
variable "resize_timeout" {
  description = "Timeout of that function, in seconds."
  type        = number
}

variable "maximum_concurrency" {
  description = "Number of batches that the function consumes at once."
  type        = number

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "SQS lets a function work on 2 to 1000 batches at once."
  }
}

variable "maximum_receives" {
  description = "Number of times that a message is received before it goes to the dead-letter queue."
  type        = number
}

variable "cleanup_function_arn" {
  description = "ARN of the function that consumes the cleanup queue."
  type        = string
}

variable "cleanup_timeout" {
  description = "Timeout of that function, in seconds."
  type        = number
}

variable "replaced_image_seconds" {
  description = "Seconds by which the cleanup queue delays each message, up to 900."
  type        = number
}

variable "subscriber_functions" {
  description = "Functions that are called for each new or removed avatar."
  type = map(object({
    name  = string
    alias = string
    arn   = string
  }))
  default = {}
}

variable "webhook_url" {
  description = "URL that SNS notifies of each new or removed avatar; null for none."
  type        = string
  default     = null
}
