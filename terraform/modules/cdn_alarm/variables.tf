variable "name" {
  description = "Prefix of the alarm's name."
  type        = string
}

variable "distribution_id" {
  description = "Id of the CloudFront distribution."
  type        = string
}

variable "alarm_actions" {
  description = "ARNs of topics in us-east-1 that are notified when the alarm fires and when it is OK again."
  type        = list(string)
  default     = []
}
