variable "name" {
  description = "Prefix of the alarm's name."
  type        = string
}

variable "distribution_id" {
  description = "Id of the CloudFront distribution."
  type        = string
}

variable "alarm_actions" {
  description = "Topics in us-east-1 that are told when the alarm goes on and off."
  type        = list(string)
  default     = []
}
