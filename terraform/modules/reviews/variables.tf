variable "name" {
  description = "Name of the table."
  type        = string
}

variable "report_function" {
  description = "The function that takes reports, and logs how long the oldest has waited."
  type = object({
    name = string
    arn  = string
  })
}
