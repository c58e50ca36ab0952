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
  description = "Bucket of whose avatars the topic tells."
  type = object({
    name = string
    arn  = string
  })
}

variable "resize_function_arn" {
  description = "Function that works the queue off."
  type        = string
}

# Apart from the function itself, whose role names the queue.
variable "resize_timeout" {
  description = "That function's timeout in seconds."
  type        = number
}

variable "maximum_concurrency" {
  description = "How many batches the function works on at once."
  type        = number

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "SQS lets a function work on 2 to 1000 batches at once."
  }
}

variable "maximum_receives" {
  description = "How often a message is received before it becomes a dead letter."
  type        = number
}

variable "subscriber_functions" {
  description = "Functions that are called for each new or removed avatar."
  type = map(object({
    name = string
    arn  = string
  }))
  default = {}
}

variable "webhook_url" {
  description = "URL that is told of each new or removed avatar, as SNS messages; null for none."
  type        = string
  default     = null
}
